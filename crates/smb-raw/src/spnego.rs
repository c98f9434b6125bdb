//! SPNEGO as a client writes it (RFC 4178), and the DER that it takes.

/// `06 0a ...`: 1.3.6.1.4.1.311.2.2.10
pub const NTLMSSP: &[u8] = &[0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a];
/// `06 09 ...`: 1.2.840.113554.1.2.2
pub const KERBEROS: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02];
/// `06 09 ...`: 1.2.840.48018.1.2.2
pub const MS_KERBEROS: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02];

/// One element of DER.
pub fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let head = if len < 0x80 { vec![tag, len as u8] } else { vec![tag, 0x82, (len >> 8) as u8, len as u8] };
    [head, content.to_vec()].concat()
}

/// A first token with these mechanisms, OID tags included, and the list as it is signed.
pub fn neg_token_init(mechanisms: &[&[u8]], token: Option<&[u8]>) -> (Vec<u8>, Vec<u8>) {
    let list = wrap(0x30, &mechanisms.concat());
    let token = token.map_or(Vec::new(), |token| wrap(0xa2, &wrap(0x04, token)));
    let init = wrap(0xa0, &wrap(0x30, &[wrap(0xa0, &list), token].concat()));
    let spnego = wrap(0x06, &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x02]);
    (wrap(0x60, &[spnego, init].concat()), list)
}

/// A later token.
pub fn neg_token_resp(token: Option<&[u8]>, mic: Option<&[u8]>) -> Vec<u8> {
    let token = token.map_or(Vec::new(), |token| wrap(0xa2, &wrap(0x04, token)));
    let mic = mic.map_or(Vec::new(), |mic| wrap(0xa3, &wrap(0x04, mic)));
    wrap(0xa1, &wrap(0x30, &[token, mic].concat()))
}
