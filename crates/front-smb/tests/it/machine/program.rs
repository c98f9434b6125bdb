//! Bytes become a program: what a handful of channels of two users do, one step after the other.
//!
//! Every input is a program, so that a fuzzer can bend it byte by byte; it ends with its bytes. Numbers choose
//! among what there is when the step is done (the fourth session, the last open), so that most steps of most
//! programs do something.

/// Most steps of one program.
const STEPS_MAX: usize = 96;
/// Most requests of one chain.
const CHAIN_MAX: u8 = 5;

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// A new connection takes this slot.
    Connect {
        slot: u8,
        dialect: u8,
    },
    LogIn {
        slot: u8,
        user: u8,
        previous: Option<u8>,
    },
    /// A further channel of a session; sometimes as somebody else.
    Bind {
        slot: u8,
        session: u8,
        user: u8,
    },
    /// The user of a session proves himself again, or fails to.
    Again {
        slot: u8,
        session: u8,
        right: bool,
    },
    /// Requests in one frame, and whether each goes on with the one before.
    Send {
        slot: u8,
        asks: Vec<(Ask, bool)>,
    },
    Cancel {
        slot: u8,
        which: u8,
        by_async_id: bool,
    },
    Disconnect {
        slot: u8,
        orderly: bool,
    },
    /// Time passes.
    Wait {
        seconds: u8,
    },
    /// A body of any bytes, protected as it should be.
    Raw {
        slot: u8,
        session: u8,
        command: u8,
        body: Vec<u8>,
    },
}

/// One request: in whose name, on which tree connect and open.
#[derive(Clone, Debug)]
pub struct Ask {
    pub session: u8,
    pub tree: u8,
    pub open: u8,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    Echo,
    LogOff,
    TreeConnect { pipes: bool },
    TreeDisconnect,
    Create { name: u8, choice: u8, caching: u8, durable: u8 },
    Close,
    Flush,
    Read { at: u8, length: u8 },
    Write { at: u8, length: u8 },
    Lock { at: u8, flags: u8, sequence: u8 },
    Notify { tree: bool },
    List { pattern: u8 },
    Ask { class: u8 },
    Rename { name: u8 },
    Delete { yes: bool },
    Resize { to: u8 },
    Control { code: u8 },
    Acknowledge { level: u8, lease: bool },
}

/// The bytes, from the front.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn flag(&mut self) -> Option<bool> {
        self.byte().map(|byte| byte & 1 == 1)
    }
}

/// The whole program.
pub fn decode(bytes: &[u8]) -> Vec<Step> {
    let mut source = Source(bytes);
    std::iter::from_fn(|| step(&mut source)).take(STEPS_MAX).collect()
}

fn step(source: &mut Source<'_>) -> Option<Step> {
    let (kind, slot) = (source.byte()?, source.byte()?);
    Some(match kind % 64 {
        0 | 1 => Step::Connect { slot, dialect: source.byte()? },
        2 | 3 => {
            let (user, previous) = (source.byte()?, source.byte()?);
            Step::LogIn { slot, user, previous: (previous > 230).then_some(previous) }
        }
        4 | 5 => Step::Bind { slot, session: source.byte()?, user: source.byte()? },
        6 => Step::Again { slot, session: source.byte()?, right: source.byte()? < 200 },
        7 | 8 => Step::Cancel { slot, which: source.byte()?, by_async_id: source.flag()? },
        9 => Step::Disconnect { slot, orderly: source.flag()? },
        10 => Step::Wait { seconds: source.byte()? % 64 },
        11 => {
            let (session, command, length) = (source.byte()?, source.byte()?, source.byte()? % 64);
            let body = (0..length).map_while(|_| source.byte()).collect();
            Step::Raw { slot, session, command, body }
        }
        12..24 => {
            let count = 2 + source.byte()? % (CHAIN_MAX - 1);
            let asks = (0..count).map_while(|_| Some((ask(source)?, source.byte()? < 170))).collect();
            Step::Send { slot, asks }
        }
        _ => Step::Send { slot, asks: vec![(ask(source)?, false)] },
    })
}

fn ask(source: &mut Source<'_>) -> Option<Ask> {
    let (session, tree, open) = (source.byte()?, source.byte()?, source.byte()?);
    Some(Ask { session, tree, open, what: what(source)? })
}

fn what(source: &mut Source<'_>) -> Option<What> {
    Some(match source.byte()? % 64 {
        0 => What::Echo,
        1 => What::LogOff,
        2 => What::TreeConnect { pipes: source.byte()? > 200 },
        3 => What::TreeDisconnect,
        4..22 => What::Create {
            name: source.byte()?,
            choice: source.byte()?,
            caching: source.byte()?,
            durable: source.byte()?,
        },
        22..26 => What::Close,
        26 | 27 => What::Flush,
        28..32 => What::Read { at: source.byte()?, length: source.byte()? },
        32..36 => What::Write { at: source.byte()?, length: source.byte()? },
        36..42 => What::Lock { at: source.byte()?, flags: source.byte()?, sequence: source.byte()? },
        42..45 => What::Notify { tree: source.flag()? },
        45 | 46 => What::List { pattern: source.byte()? },
        47 | 48 => What::Ask { class: source.byte()? },
        49 | 50 => What::Rename { name: source.byte()? },
        51 => What::Delete { yes: source.flag()? },
        52 | 53 => What::Resize { to: source.byte()? },
        54..57 => What::Control { code: source.byte()? },
        _ => What::Acknowledge { level: source.byte()?, lease: source.flag()? },
    })
}
