//! A client: whoever names one ClientGUID, over all its connections (MS-SMB2 3.3.1.16).
//!
//! The layering is client -> sessions -> channels: leases belong to the client, tree connects and opens to a
//! session. Connections find their client when they have negotiated; whichever thread took them.

use crate::connection::Connection;
use parking_lot::Mutex;
use smb_wire::ids::Guid;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// One client.
pub(crate) struct Client {
    pub(crate) guid: Guid,
    connections: Mutex<Vec<Weak<Connection>>>,
}

impl Client {
    /// Its name as `vfs` knows it.
    pub(crate) fn id(&self) -> u128 {
        u128::from_le_bytes(self.guid)
    }

    /// The connections that live, oldest first.
    pub(crate) fn connections(&self) -> Vec<Arc<Connection>> {
        self.connections.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

/// All clients that are connected.
#[derive(Default)]
pub(crate) struct Clients(Mutex<HashMap<Guid, Weak<Client>>>);

impl Clients {
    /// The client that a connection belongs to.
    pub(crate) fn enter(&self, guid: Guid, connection: &Arc<Connection>) -> Arc<Client> {
        let mut all = self.0.lock();
        let known = all.get(&guid).and_then(Weak::upgrade);
        let client = known.unwrap_or_else(|| {
            all.retain(|_, client| client.strong_count() > 0);
            let client = Arc::new(Client { guid, connections: Mutex::default() });
            all.insert(guid, Arc::downgrade(&client));
            client
        });
        let mut connections = client.connections.lock();
        connections.retain(|other| other.strong_count() > 0);
        connections.push(Arc::downgrade(connection));
        drop(connections);
        client
    }
}
