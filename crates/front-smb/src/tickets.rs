//! Log-ins by ticket: the keys in force, whose users may come, and the authenticators that were seen. All
//! connections share them.

use parking_lot::{Mutex, RwLock};
use smb_core::kerberos::{Fingerprint, Fresh, Keytab, MAX_REPLAYS, Novelty, Realms, ReplayCache, Tickets};
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
            seen: Mutex::new(ReplayCache::new(MAX_REPLAYS)),
        }
    }

    /// Other keys, for log-ins from now on.
    pub(crate) fn renew(&self, keytab: Keytab) {
        *self.keytab.write() = Arc::new(keytab);
    }

    /// Opens the desk for one step of a log-in.
    pub(crate) fn judge<T>(&self, step: impl FnOnce(Tickets<'_>) -> T) -> Result<T, getrandom::Error> {
        let keytab = Arc::clone(&self.keytab.read());
        let mut subkey = Zeroizing::new([0; 32]);
        getrandom::fill(&mut subkey[..])?;
        let mut confounder = [0; 16];
        getrandom::fill(&mut confounder)?;
        let fresh = Fresh { subkey, confounder, sequence: getrandom::u32()? };
        let mut enter = |print: Fingerprint| -> Novelty { self.seen.lock().enter(Instant::now(), print) };
        Ok(step(Tickets { keytab: &keytab, realms: &self.realms, fresh, enter: &mut enter }))
    }
}
