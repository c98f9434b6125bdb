//! `farshare certs`: the certificates of the site link.

use crate::cli::{CertsCommand, CertsDir};
use crate::config::Config;
use crate::failure::Failure;
use crate::status_text::age;
use link::LinkError;
use link::certs::{self, CertInfo, CertRole};
use std::path::PathBuf;
use std::time::SystemTime;

pub fn run(command: &CertsCommand) -> Result<(), Failure> {
    match command {
        CertsCommand::Init(dir) => {
            let made = certs::init(&directory(dir)?).map_err(failed)?;
            println!("made the certificate authority {}", made.path.display());
            println!("next: farshare certs issue NAME, for each node");
        }
        CertsCommand::Issue { name, dir } => {
            let dir = directory(dir)?;
            let made = certs::issue(&dir, name).map_err(failed)?;
            println!("made {} and its key, good for {}", made.path.display(), left(&made));
            println!(
                "next: copy {name}.crt, {name}.key and ca.crt from {} to the node {name}",
                dir.display()
            );
        }
        CertsCommand::Show(dir) => show(&certs::show(&directory(dir)?).map_err(failed)?),
        CertsCommand::Revoke { name, dir } => {
            let dir = directory(dir)?;
            let revoked = certs::revoke(&dir, name).map_err(failed)?;
            println!("{name} is revoked: its key stands in {}", dir.join(certs::REVOKED).display());
            println!("next: copy that file beside ca.crt on each node and run `farshare reload` there");
            println!(
                "to let {name} in again: remove {} and its key, then farshare certs issue {name}",
                revoked.path.display()
            );
        }
        CertsCommand::Renew { name, dir } => {
            let dir = directory(dir)?;
            let renewed = match name {
                Some(name) => vec![certs::renew(&dir, name).map_err(failed)?],
                None => certs::renew_all(&dir).map_err(failed)?,
            };
            show(&renewed);
            println!("next: copy each .crt to its node and run `farshare reload` there");
        }
    }
    Ok(())
}

fn directory(dir: &CertsDir) -> Result<PathBuf, Failure> {
    if let Some(dir) = &dir.dir {
        return Ok(dir.clone());
    }
    Config::certs_of(&dir.config)?.ok_or_else(|| {
        let file = dir.config.display();
        Failure::usage(format_args!("{file}: no [link] certs; --dir DIR names the directory"))
    })
}

fn show(all: &[CertInfo]) {
    println!("NAME             FOR        GOOD FOR         SHA-256");
    for cert in all {
        let role = match cert.role {
            CertRole::Authority => "authority",
            CertRole::Site => "node",
        };
        println!("{:<16} {role:<10} {:<16} {}", cert.name, left(cert), cert.fingerprint);
    }
}

/// How long it is still good.
pub fn left(cert: &CertInfo) -> String {
    if cert.revoked {
        return "REVOKED".to_owned();
    }
    match cert.not_after.duration_since(SystemTime::now()) {
        Ok(left) => age(left.as_secs()),
        Err(_) => "ENDED".to_owned(),
    }
}

fn failed(error: LinkError) -> Failure {
    Failure::failed(error)
}
