//! Log-ins by ticket: the keys in force, whose users may come, and the authenticators that were seen. All
//! connections share them.

use parking_lot::{Mutex, RwLock};
use smb_core::kerberos::{
    Fingerprint, Fresh, Keytab, MAX_REPLAYS, MAX_REPLAYS_PER_USER, Novelty, Realms, ReplayCache, Tickets,
};
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

/// Log-in by Kerberos.
#[derive(Clone, Debug)]
pub struct KerberosConfig {
    pub keytab: Keytab,
    pub realms: Realms,
}

/// What tickets are judged by.
pub(crate) struct TicketDesk {
    keytab: RwLock<Arc<Keytab>>,
    realms: Realms,
    seen: Mutex<ReplayCache>,
}

impl TicketDesk {
    pub(crate) fn new(config: &KerberosConfig) -> TicketDesk {
        TicketDesk {
            keytab: RwLock::new(Arc::new(config.keytab.clone())),
            realms: config.realms.clone(),
            seen: Mutex::new(ReplayCache::new(MAX_REPLAYS, MAX_REPLAYS_PER_USER)),
        }
    }

    /// Other keys, for log-ins from now on.
    pub(crate) fn renew(&self, keytab: Keytab) {
        *self.keytab.write() = Arc::new(keytab);
    }

    /// Opens the desk for one step of a log-in.
    pub(crate) fn judge<T>(&self, step: impl FnOnce(Tickets<'_>) -> T) -> T {
        let keytab = Arc::clone(&self.keytab.read());
        let mut enter = |print: Fingerprint| -> Novelty { self.seen.lock().enter(Instant::now(), print) };
        step(Tickets { keytab: &keytab, realms: &self.realms, fresh: &mut fresh, enter: &mut enter })
    }
}

/// What one log-in needs of random numbers, in one draw.
fn fresh() -> Option<Fresh> {
    const SUBKEY_LEN: usize = 32;
    const CONFOUNDER_LEN: usize = 16;
    let mut drawn = Zeroizing::new([0; SUBKEY_LEN + CONFOUNDER_LEN + size_of::<u32>()]);
    if let Err(error) = getrandom::fill(&mut drawn[..]) {
        tracing::error!(%error, "the system gives no random numbers");
        return None;
    }
    let (subkey, rest) = drawn.split_first_chunk::<SUBKEY_LEN>()?;
    let (confounder, rest) = rest.split_first_chunk::<CONFOUNDER_LEN>()?;
    let sequence = u32::from_be_bytes(*rest.first_chunk()?);
    Some(Fresh { subkey: Zeroizing::new(*subkey), confounder: *confounder, sequence })
}
