//! How Kerberos encrypts and signs: AES with HMAC-SHA1 (RFC 3961, 3962) and with HMAC-SHA2 (RFC 8009).
//!
//! A key is never used as it is. Each purpose has a number, the key usage, and out of key and usage come three
//! keys: Ke encrypts, Ki signs what is encrypted, Kc signs what is not. Both families encrypt in CBC mode with
//! ciphertext stealing over a random block (the confounder) and the text; they differ in how the three keys are
//! derived and in what the signature covers: the plain text in the older one, the encrypted text in the newer.
//!
//! DES and RC4 are absent: a ticket under such a key can be forged, or its key guessed, at a bearable price.

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use aws_lc_rs::{constant_time, hmac};
use zeroize::Zeroizing;

const BLOCK_LEN: usize = 16;

type Block = [u8; BLOCK_LEN];

/// A block that is encrypted before the text and means nothing.
pub type Confounder = Block;

/// What a key is for (RFC 4120 7.5.1, RFC 4121 2, MS-PAC 2.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Usage {
    /// The part of a ticket that only the service can read.
    Ticket = 2,
    /// The authenticator of an AP-REQ.
    Authenticator = 11,
    /// The part of an AP-REP that only the client can read.
    Reply = 12,
    /// The signature of a PAC.
    Pac = 17,
    /// A message signed by the service.
    AcceptorSign = 23,
    /// A message signed by the client.
    InitiatorSign = 25,
}

/// The encryption types that are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EncryptionType {
    /// aes128-cts-hmac-sha1-96
    Aes128Sha1,
    /// aes256-cts-hmac-sha1-96
    Aes256Sha1,
    /// aes128-cts-hmac-sha256-128
    Aes128Sha256,
    /// aes256-cts-hmac-sha384-192
    Aes256Sha384,
}

impl EncryptionType {
    /// By its number; `None` if it is not taken.
    pub fn from_code(code: i32) -> Option<Self> {
        match code {
            17 => Some(Self::Aes128Sha1),
            18 => Some(Self::Aes256Sha1),
            19 => Some(Self::Aes128Sha256),
            20 => Some(Self::Aes256Sha384),
            _ => None,
        }
    }

    /// Its number (RFC 3962 7, RFC 8009 8).
    pub fn code(self) -> i32 {
        match self {
            Self::Aes128Sha1 => 17,
            Self::Aes256Sha1 => 18,
            Self::Aes128Sha256 => 19,
            Self::Aes256Sha384 => 20,
        }
    }

    /// The number of the signature that goes with it.
    pub fn checksum_code(self) -> i32 {
        match self {
            Self::Aes128Sha1 => 15,
            Self::Aes256Sha1 => 16,
            Self::Aes128Sha256 => 19,
            Self::Aes256Sha384 => 20,
        }
    }

    /// Length of a key in bytes.
    pub fn key_len(self) -> usize {
        match self {
            Self::Aes128Sha1 | Self::Aes128Sha256 => 16,
            Self::Aes256Sha1 | Self::Aes256Sha384 => 32,
        }
    }

    /// Length of a signature in bytes.
    pub fn checksum_len(self) -> usize {
        match self {
            Self::Aes128Sha1 | Self::Aes256Sha1 => 12,
            Self::Aes128Sha256 => 16,
            Self::Aes256Sha384 => 24,
        }
    }

    /// Length of the keys that sign.
    fn signing_key_len(self) -> usize {
        match self {
            Self::Aes128Sha1 | Self::Aes256Sha1 => self.key_len(),
            Self::Aes128Sha256 => 16,
            Self::Aes256Sha384 => 24,
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Aes128Sha1 | Self::Aes256Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Aes128Sha256 => hmac::HMAC_SHA256,
            Self::Aes256Sha384 => hmac::HMAC_SHA384,
        }
    }
}

impl std::fmt::Display for EncryptionType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Aes128Sha1 => "aes128-cts-hmac-sha1-96",
            Self::Aes256Sha1 => "aes256-cts-hmac-sha1-96",
            Self::Aes128Sha256 => "aes128-cts-hmac-sha256-128",
            Self::Aes256Sha384 => "aes256-cts-hmac-sha384-192",
        })
    }
}

/// A key with its type. Wiped from memory when dropped.
#[derive(Clone)]
pub struct Key {
    kind: EncryptionType,
    bytes: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({}, ..)", self.kind)
    }
}

/// Which of the three derived keys.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Purpose {
    Checksum = 0x99,
    Encryption = 0xaa,
    Integrity = 0x55,
}

impl Key {
    /// A key of these bytes; `None` when they are too few or too many.
    pub fn new(kind: EncryptionType, bytes: &[u8]) -> Option<Key> {
        (bytes.len() == kind.key_len()).then(|| Key { kind, bytes: Zeroizing::new(bytes.to_vec()) })
    }

    /// Its type.
    pub fn kind(&self) -> EncryptionType {
        self.kind
    }

    /// The key itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Restores a text; `None` if it was not encrypted with this key for this purpose.
    pub fn decrypt(&self, usage: Usage, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let at = sealed.len().checked_sub(self.kind.checksum_len())?;
        let (encrypted, signature) = sealed.split_at(at);
        if encrypted.len() < BLOCK_LEN {
            return None;
        }
        let cipher = Aes::new(&self.derive(usage, Purpose::Encryption));
        let mut text = Zeroizing::new(encrypted.to_vec());
        cipher.decrypt(&mut text);
        let expected = self.seal_signature(usage, &text, encrypted);
        constant_time::verify_slices_are_equal(&expected, signature).ok()?;
        Some(Zeroizing::new(text[BLOCK_LEN..].to_vec()))
    }

    /// Encrypts a text. `confounder` is fresh random bytes.
    pub fn encrypt(&self, usage: Usage, confounder: &Confounder, text: &[u8]) -> Vec<u8> {
        let plain = Zeroizing::new([&confounder[..], text].concat());
        let mut sealed = plain.to_vec();
        Aes::new(&self.derive(usage, Purpose::Encryption)).encrypt(&mut sealed);
        let signature = self.seal_signature(usage, &plain, &sealed);
        sealed.extend_from_slice(&signature);
        sealed
    }

    /// The signature of what stands in these parts.
    pub fn checksum(&self, usage: Usage, parts: &[&[u8]]) -> Vec<u8> {
        self.sign(&self.derive(usage, Purpose::Checksum), parts)
    }

    /// Whether that is their signature. Compares in constant time.
    pub fn verify(&self, usage: Usage, parts: &[&[u8]], signature: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&self.checksum(usage, parts), signature).is_ok()
    }

    /// The signature of an encrypted text: over the plain one (RFC 3961 5.3), or over the vector that encryption
    /// began with, all zero, and what came out (RFC 8009 5).
    fn seal_signature(&self, usage: Usage, plain: &[u8], encrypted: &[u8]) -> Vec<u8> {
        let key = self.derive(usage, Purpose::Integrity);
        match self.kind {
            EncryptionType::Aes128Sha1 | EncryptionType::Aes256Sha1 => self.sign(&key, &[plain]),
            EncryptionType::Aes128Sha256 | EncryptionType::Aes256Sha384 => {
                self.sign(&key, &[&[0; BLOCK_LEN], encrypted])
            }
        }
    }

    fn sign(&self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&hmac::Key::new(self.kind.hmac(), key));
        parts.iter().for_each(|part| context.update(part));
        context.sign().as_ref()[..self.kind.checksum_len()].to_vec()
    }

    fn derive(&self, usage: Usage, purpose: Purpose) -> Zeroizing<Vec<u8>> {
        let [a, b, c, d] = (usage as u32).to_be_bytes();
        let constant = [a, b, c, d, purpose as u8];
        let len = match purpose {
            Purpose::Encryption => self.kind.key_len(),
            Purpose::Checksum | Purpose::Integrity => self.kind.signing_key_len(),
        };
        match self.kind {
            EncryptionType::Aes128Sha1 | EncryptionType::Aes256Sha1 => self.derive_by_cipher(&constant, len),
            EncryptionType::Aes128Sha256 | EncryptionType::Aes256Sha384 => {
                self.derive_by_hmac(&constant, len)
            }
        }
    }

    /// `DK` (RFC 3961 5.1): the folded constant encrypted, and that encrypted again.
    fn derive_by_cipher(&self, constant: &[u8; 5], len: usize) -> Zeroizing<Vec<u8>> {
        let cipher = Aes::new(&self.bytes);
        let mut block = fold(constant);
        let mut derived = Zeroizing::new(Vec::with_capacity(len));
        while derived.len() < len {
            cipher.encrypt_block(&mut block);
            derived.extend_from_slice(&block);
        }
        derived
    }

    /// `KDF-HMAC-SHA2` (RFC 8009 3).
    fn derive_by_hmac(&self, constant: &[u8; 5], len: usize) -> Zeroizing<Vec<u8>> {
        let bits = (len * 8) as u32;
        let mut context = hmac::Context::with_key(&hmac::Key::new(self.kind.hmac(), &self.bytes));
        context.update(&1u32.to_be_bytes());
        context.update(constant);
        context.update(&[0]);
        context.update(&bits.to_be_bytes());
        Zeroizing::new(context.sign().as_ref()[..len].to_vec())
    }
}

/// Five bytes spread over a block (`n-fold`, RFC 3961 5.1): sixteen copies, each turned by 13 bits more than the one
/// before, cut into five blocks that are added with the carry going round.
fn fold(constant: &[u8; 5]) -> Block {
    const BITS: u32 = 40;
    const MASK: u64 = (1 << BITS) - 1;
    let [a, b, c, d, e] = *constant;
    let value = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
    let mut copies = [0; 5 * BLOCK_LEN];
    for (turn, copy) in copies.as_chunks_mut::<5>().0.iter_mut().enumerate() {
        let by = 13 * turn as u32 % BITS;
        let turned = (value >> by | value << (BITS - by)) & MASK;
        copy.copy_from_slice(&turned.to_be_bytes()[3..]);
    }
    let add = |sum: u128, block: &Block| {
        let (sum, carry) = sum.overflowing_add(u128::from_be_bytes(*block));
        sum + u128::from(carry)
    };
    copies.as_chunks::<BLOCK_LEN>().0.iter().fold(0, add).to_be_bytes()
}

/// AES in CBC mode with ciphertext stealing, beginning with zeros (RFC 3962 5).
enum Aes {
    Short(Box<Aes128>),
    Long(Box<Aes256>),
}

impl Aes {
    /// Keys here have 16 or 32 bytes.
    fn new(key: &[u8]) -> Aes {
        match Aes128::new_from_slice(key) {
            Ok(cipher) => Aes::Short(Box::new(cipher)),
            Err(_) => Aes::Long(Box::new(Aes256::new_from_slice(key).expect("a key of 16 or 32 bytes"))),
        }
    }

    fn encrypt_block(&self, block: &mut Block) {
        match self {
            Aes::Short(cipher) => cipher.encrypt_block(block.into()),
            Aes::Long(cipher) => cipher.encrypt_block(block.into()),
        }
    }

    fn decrypt_block(&self, block: &mut Block) {
        match self {
            Aes::Short(cipher) => cipher.decrypt_block(block.into()),
            Aes::Long(cipher) => cipher.decrypt_block(block.into()),
        }
    }

    /// In place; at least one block. The last two blocks change places, and the end is as long as the text's.
    fn encrypt(&self, text: &mut Vec<u8>) {
        let len = text.len();
        text.resize(len.next_multiple_of(BLOCK_LEN), 0);
        let mut previous = [0; BLOCK_LEN];
        let blocks = text.as_chunks_mut::<BLOCK_LEN>().0;
        for block in blocks.iter_mut() {
            xor(block, &previous);
            self.encrypt_block(block);
            previous = *block;
        }
        if let [.., before, last] = blocks {
            std::mem::swap(before, last);
        }
        text.truncate(len);
    }

    /// Undoes [`Aes::encrypt`]. The end of the block before the last is in the last one.
    fn decrypt(&self, text: &mut Vec<u8>) {
        let len = text.len();
        let cut = (len - 1) % BLOCK_LEN + 1;
        text.resize(len.next_multiple_of(BLOCK_LEN), 0);
        let blocks = text.as_chunks_mut::<BLOCK_LEN>().0;
        if let [.., before, last] = blocks {
            let mut stolen = *before;
            self.decrypt_block(&mut stolen);
            last[cut..].copy_from_slice(&stolen[cut..]);
            std::mem::swap(before, last);
        }
        let mut previous = [0; BLOCK_LEN];
        for block in blocks {
            let encrypted = *block;
            self.decrypt_block(block);
            xor(block, &previous);
            previous = encrypted;
        }
        text.truncate(len);
    }
}

fn xor(block: &mut Block, with: &Block) {
    block.iter_mut().zip(with).for_each(|(byte, with)| *byte ^= with);
}
