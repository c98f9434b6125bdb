//! Test vectors as text: a name at the line's start, its bytes in hex on the indented lines that follow.

use std::collections::HashMap;

pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    assert!(rest.is_empty(), "odd number of hex digits");
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.iter().map(byte).collect()
}

pub struct Vectors(HashMap<String, Vec<u8>>);

impl Vectors {
    pub fn parse(text: &str) -> Self {
        let mut vectors: HashMap<String, String> = HashMap::new();
        let mut name = String::new();
        for line in text.lines() {
            match line.strip_prefix("  ") {
                Some(digits) => vectors.get_mut(&name).expect("a name comes first").push_str(digits),
                None => {
                    line.clone_into(&mut name);
                    vectors.insert(name.clone(), String::new());
                }
            }
        }
        Self(vectors.into_iter().map(|(name, digits)| (name, hex(&digits))).collect())
    }

    pub fn get(&self, name: &str) -> &[u8] {
        self.0.get(name).unwrap_or_else(|| panic!("no vector {name}"))
    }

    pub fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.get(name).try_into().unwrap_or_else(|_| panic!("vector {name} has not {N} bytes"))
    }
}
