//! Credits and message ids of one connection (MS-SMB2 3.3.1.1, 3.3.1.2, 3.3.5.2.3).
//!
//! The server hands out message ids in sequence; each id is one credit and may be used once, in any order. The
//! ids from the oldest unused one (`low`) to the newest granted one (`high`, not included) are the window. A
//! request of charge `n` uses `n` ids in a row. The window never spans more than its limit, so a client that
//! leaves a hole gets no new ids until it fills the hole, and a bitmap of [`MAX_WINDOW`] bits (1 KiB) is all
//! the memory a connection needs.
//!
//! CANCEL uses no id: do not charge it.

/// Most ids between the oldest unused and the newest granted one, and so most credits outstanding.
pub const MAX_WINDOW: u32 = 8192;
/// Bytes of payload that one credit pays for (MS-SMB2 3.1.5.2).
pub const BYTES_PER_CREDIT: u32 = 65536;

const WORDS: usize = MAX_WINDOW as usize / 64;

/// Why a request's message id was refused. The connection must be dropped (MS-SMB2 3.3.5.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreditError {
    /// An id below, beyond, or only partly inside the window.
    OutsideWindow,
    /// An id that was used before.
    Used,
}

impl std::fmt::Display for CreditError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OutsideWindow => "message id outside the granted window",
            Self::Used => "message id used twice",
        })
    }
}

impl std::error::Error for CreditError {}

/// The credits that `bytes` of payload need: the larger of what a request carries and what it asks for.
pub fn charge_for(bytes: u32) -> u16 {
    let credits = bytes.div_ceil(BYTES_PER_CREDIT).max(1);
    u16::try_from(credits).unwrap_or(u16::MAX)
}

/// Whether a request that charges `credit_charge` may carry or ask for `bytes` of payload (MS-SMB2 3.3.5.2.5).
///
/// If not, answer `STATUS_INVALID_PARAMETER`. A charge of 0 counts as 1.
pub fn covers(credit_charge: u16, bytes: u32) -> bool {
    u32::from(credit_charge.max(1)) >= bytes.div_ceil(BYTES_PER_CREDIT)
}

/// The message ids that a client may use.
pub struct CreditWindow {
    low: u64,
    high: u64,
    unused: u32,
    limit: u32,
    /// One bit per id of the window, at `id % MAX_WINDOW`: set once used.
    used: Box<[u64; WORDS]>,
}

impl CreditWindow {
    /// A new connection's window: id 0 alone. `limit` is the widest it may grow, 1 to [`MAX_WINDOW`].
    pub fn new(limit: u32) -> Self {
        let mut window = Self { low: 0, high: 1, unused: 1, limit: 1, used: Box::new([0; WORDS]) };
        window.set_limit(limit);
        window
    }

    /// Changes the limit: small before a log-in, wide after it. Ids already granted stay.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit.clamp(1, MAX_WINDOW);
    }

    /// Credits that the client holds: ids granted and not used.
    pub fn outstanding(&self) -> u32 {
        self.unused
    }

    /// Uses the ids of a request. On error nothing has changed.
    ///
    /// A `credit_charge` of 0 counts as 1; pass 0 for a connection without `LARGE_MTU`, where the field is
    /// reserved.
    pub fn charge(&mut self, message_id: u64, credit_charge: u16) -> Result<(), CreditError> {
        let charge = credit_charge.max(1);
        let end = message_id.checked_add(u64::from(charge)).ok_or(CreditError::OutsideWindow)?;
        if message_id < self.low || end > self.high {
            return Err(CreditError::OutsideWindow);
        }
        if (message_id..end).any(|id| self.is_used(id)) {
            return Err(CreditError::Used);
        }
        (message_id..end).for_each(|id| self.flip(id));
        self.unused -= u32::from(charge);
        while self.low < self.high && self.is_used(self.low) {
            self.flip(self.low);
            self.low += 1;
        }
        Ok(())
    }

    /// Grants credits for a response and says how many: what was asked for (0 counts as 1), cut to the limit.
    ///
    /// Gives 0 only when the window is full, and then the client still holds at least one credit.
    pub fn grant(&mut self, requested: u16) -> u16 {
        let span = self.high - self.low;
        let room = u64::from(self.limit).saturating_sub(span).min(u64::MAX - self.high);
        let granted = requested.max(1).min(u16::try_from(room).unwrap_or(u16::MAX));
        self.high += u64::from(granted);
        self.unused += u32::from(granted);
        granted
    }

    fn is_used(&self, id: u64) -> bool {
        let (word, bit) = place(id);
        self.used[word] & bit != 0
    }

    fn flip(&mut self, id: u64) {
        let (word, bit) = place(id);
        self.used[word] ^= bit;
    }
}

fn place(id: u64) -> (usize, u64) {
    let slot = id % u64::from(MAX_WINDOW);
    ((slot / 64) as usize, 1 << (slot % 64))
}
