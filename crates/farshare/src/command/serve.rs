//! `farshare serve`: a node, until it is asked to end.

use crate::config::Config;
use crate::failure::Failure;
use crate::node::Node;
use crate::process::Signals;
use crate::supervise;
use std::path::Path;

pub async fn run(file: &Path) -> Result<(), Failure> {
    let config = Config::load(file)?;
    let (state, settings) = (config.state.clone(), config.admin.clone());
    let mut signals = Signals::new().map_err(Failure::failed)?;
    let start = Node::start(config, Some(file.to_owned()));
    let node = supervise::unless_cut_off(&mut signals, start).await?;
    let admin = supervise::open_admin(&node, &state, &settings).await?;
    let smb: Vec<_> = node.smb_addresses().iter().map(ToString::to_string).collect();
    let link = node.link_address().map(|address| address.to_string());
    tracing::info!(smb = smb.join(", "), link, admin = ?admin.local_addr(), "serving");
    supervise::tell_systemd("READY=1");
    supervise::until_asked(&node, &mut signals).await;
    let drained = supervise::drain(&[node], &mut signals).await;
    admin.shutdown().await;
    drained
}
