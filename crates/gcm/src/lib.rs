//! AES-GCM over a message in pieces, each where it lies.
//!
//! The provider's own interface takes additional data as one slice and a text as one; a READ's answer is a header
//! here and a payload there, and a request that is verified holds its signature in its middle. Joining them is a copy
//! of every byte that is sent. So large messages go through the provider's older interface (`EVP_CIPHER_CTX`), which
//! takes pieces; the code behind both is the same.
//!
//! A crate of its own, because it calls C and `smb-core` may not. What it promises: a context never outlives its use here, lengths fit the
//! provider's `int`, and nothing is read or written beyond the slices that were given.

use aws_lc_sys as sys;
use std::ffi::c_int;
use std::ptr;

/// Length of a nonce and of a tag, bytes.
pub const NONCE_LEN: usize = 12;
pub const TAG_LEN: usize = 16;

/// A key, expanded once; each message works on a copy of it.
pub struct Gcm(Context);

/// Owns a provider's context.
struct Context(ptr::NonNull<sys::EVP_CIPHER_CTX>);

// SAFETY: a context is plain memory of the provider, without ties to a thread; one that is shared is only copied from.
unsafe impl Send for Context {}
unsafe impl Sync for Context {}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: it came from EVP_CIPHER_CTX_new, and is freed once.
        unsafe { sys::EVP_CIPHER_CTX_free(self.0.as_ptr()) };
    }
}

impl Context {
    fn new() -> Option<Context> {
        // SAFETY: takes nothing; null when there is no memory.
        ptr::NonNull::new(unsafe { sys::EVP_CIPHER_CTX_new() }).map(Context)
    }
}

impl Gcm {
    /// `None` unless `key` is one of AES-128 or AES-256.
    pub fn new(key: &[u8]) -> Option<Gcm> {
        // SAFETY: both give constants of the provider.
        let cipher = match key.len() {
            16 => unsafe { sys::EVP_aes_128_gcm() },
            32 => unsafe { sys::EVP_aes_256_gcm() },
            _ => return None,
        };
        let context = Context::new()?;
        // SAFETY: the key has the cipher's length; no nonce yet.
        let set = unsafe {
            sys::EVP_EncryptInit_ex(context.0.as_ptr(), cipher, ptr::null_mut(), key.as_ptr(), ptr::null())
        };
        (set == 1).then_some(Gcm(context))
    }

    /// Encrypts `texts`, one text in pieces, where they stand; gives the tag over them and `authenticated`. `None` when
    /// the provider refuses: what the texts hold then is unspecified.
    pub fn seal(
        &self,
        nonce: &[u8; NONCE_LEN],
        authenticated: &[&[u8]],
        texts: &mut [&mut [u8]],
    ) -> Option<[u8; TAG_LEN]> {
        let working = Context::new()?;
        let context = working.0.as_ptr();
        // SAFETY: both contexts are live; the nonce has the cipher's default length, and the key is kept.
        let begun = unsafe {
            sys::EVP_CIPHER_CTX_copy(context, self.0.0.as_ptr()) == 1
                && sys::EVP_EncryptInit_ex(context, ptr::null(), ptr::null_mut(), ptr::null(), nonce.as_ptr())
                    == 1
        };
        if !begun {
            return None;
        }
        let mut written: c_int = 0;
        for piece in authenticated.iter().filter(|piece| !piece.is_empty()) {
            let length = c_int::try_from(piece.len()).ok()?;
            // SAFETY: reads `length` bytes of the piece; without an output it is additional data.
            let fed = unsafe {
                sys::EVP_EncryptUpdate(context, ptr::null_mut(), &mut written, piece.as_ptr(), length)
            };
            if fed != 1 {
                return None;
            }
        }
        for text in texts.iter_mut().filter(|text| !text.is_empty()) {
            let length = c_int::try_from(text.len()).ok()?;
            let at = text.as_mut_ptr();
            // SAFETY: GCM writes as many bytes as it reads, and may do so in place.
            let fed = unsafe { sys::EVP_EncryptUpdate(context, at, &mut written, at, length) };
            if fed != 1 || written != length {
                return None;
            }
        }
        let mut tag = [0; TAG_LEN];
        // SAFETY: GCM has nothing left to write at its end; the tag's room has the length told.
        let ended = unsafe {
            sys::EVP_EncryptFinal_ex(context, tag.as_mut_ptr(), &mut written) == 1
                && sys::EVP_CIPHER_CTX_ctrl(
                    context,
                    sys::EVP_CTRL_AEAD_GET_TAG,
                    TAG_LEN as c_int,
                    tag.as_mut_ptr().cast(),
                ) == 1
        };
        ended.then_some(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::aead;

    /// The provider's other interface, on everything joined.
    fn joined(key: &[u8], nonce: [u8; NONCE_LEN], authenticated: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
        let algorithm = if key.len() == 16 { &aead::AES_128_GCM } else { &aead::AES_256_GCM };
        let key = aead::LessSafeKey::new(aead::UnboundKey::new(algorithm, key).unwrap());
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let tag = key.seal_in_place_separate_tag(nonce, aead::Aad::from(authenticated), text).unwrap();
        tag.as_ref().try_into().unwrap()
    }

    #[test]
    fn pieces_give_what_the_whole_gives() {
        let bytes: Vec<u8> = (0..4000u32).map(|number| (number * 7) as u8).collect();
        for key_len in [16, 32] {
            let key = &bytes[..key_len];
            let gcm = Gcm::new(key).unwrap();
            for (round, (a, b)) in
                [(0, 0), (1, 15), (16, 48), (64, 2000), (1000, 3999), (4000, 4000)].into_iter().enumerate()
            {
                let nonce = [round as u8; NONCE_LEN];
                let mut whole = bytes.clone();
                let expect = joined(key, nonce, &bytes, &mut whole);
                let mut text = bytes.clone();
                let (first, rest) = text.split_at_mut(a);
                let (second, third) = rest.split_at_mut(b - a);
                let pieces = [&bytes[..a], &bytes[a..b], &bytes[b..]];
                let tag = gcm.seal(&nonce, &pieces, &mut [first, second, third]).unwrap();
                assert_eq!((tag, &text), (expect, &whole), "split at {a} and {b}");
            }
        }
        assert!(Gcm::new(&bytes[..24]).is_none());
    }
}
