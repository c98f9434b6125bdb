//! Reading and writing one file by smbclient, plain, signed and sealed.

use super::super::timed;
use super::board::{Board, READ_BARS, Unit, WRITE_BAR};
use super::{BIG, FILE_MIB, Server, Side};
use crate::run::Outcome;
use e2e::{Scratch, SmbClient};
use std::path::Path;

const PROTECTIONS: [(&str, &str); 3] = [("plain", "off"), ("signed", "sign"), ("sealed", "encrypt")];

pub fn measure(server: &Server<'_>, data: &Path, _round: usize, board: &mut Board) -> Outcome {
    for ((name, word), cpu_bar) in PROTECTIONS.into_iter().zip(READ_BARS) {
        if server.side == Side::Cached && name != "signed" {
            continue;
        }
        let options = vec![format!("--client-protection={word}")];
        let client = SmbClient { options, ..server.client.clone() };
        let get = format!("get {BIG} /dev/null");
        let (seconds, cpu) = commands(server, &client, &get)?;
        let mib = FILE_MIB as f64;
        let unit = Unit::Bytes { cpu_bar };
        board.note(&format!("smbclient read, {name}"), server.side, unit, mib, seconds, cpu);
        let put = format!("put \"{}\" written", data.join(BIG).display());
        let (seconds, cpu) = commands(server, &client, &put)?;
        let unit = Unit::Bytes { cpu_bar: WRITE_BAR };
        board.note(&format!("smbclient write, {name}"), server.side, unit, mib, seconds, cpu);
    }
    Ok(())
}

/// Seconds and the server's CPU seconds, less those of logging in.
fn commands(server: &Server<'_>, client: &SmbClient, commands: &str) -> Outcome<(f64, f64)> {
    let scratch = Scratch::new()?;
    let (login, _, login_cpu) = server.measure(|| timed(client.command(&scratch, "exit")?))?;
    let (took, _, cpu) = server.measure(|| timed(client.command(&scratch, commands)?))?;
    Ok((took.saturating_sub(login).as_secs_f64(), cpu - login_cpu))
}
