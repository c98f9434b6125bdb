//! WS-Discovery, by which Windows finds servers: a client that asks what Explorer asks, and wsdd as another one.

use crate::cables::Server;
use crate::near::has;
use crate::tell::{Proof, ensure};
use e2e::{Outcome, Running, output, wait_until};
use std::path::Path;
use std::time::Duration;

const WS: &str = "listen = \"[::]:445\"\nserver_name = \"DEPOT\"\ndiscovery = { ws = true }";
/// From start to answer: a Hello, a Probe, their delays.
const FOUND_PATIENCE: Duration = Duration::from_secs(20);

fn found(server: &Server, from: &str) -> Outcome<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/ws_discovery.py");
    let mut command = server.lan.client().command("python3");
    command.arg(script).args([from, "2"]);
    output(command)
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn the_server_is_found_by_ws_discovery_when_that_is_wanted() -> Proof {
    let silent = Server::new("quiet", 1, "")?;
    let said = found(&silent, "10.78.0.2")?;
    ensure(said.is_empty(), || format!("nobody asked for an announcement:\n{said}"))?;
    drop(silent);
    let server = Server::new("view", 1, WS)?;
    let announced = || server.node.log().contains("announced by WS-Discovery");
    ensure(wait_until(FOUND_PATIENCE, announced), || server.node.log())?;
    let said = found(&server, "10.78.0.2")?;
    has(
        &format!("{said}{}", server.node.log()),
        &[
            "probe: wsdp:Device pub:Computer urn:uuid:",
            "http://10.78.0.1:5357/",
            "one answer, sent twice",
            "in time",
            "no printer",
            "resolve: http://10.78.0.1:5357/",
            "nobody else",
            "computer: DEPOT/Workgroup:WORKGROUP",
            "another one's metadata: 400",
        ],
    )
}

#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn who_is_not_nearby_is_not_answered() -> Proof {
    let server = Server::new("afar", 1, WS)?;
    server.lan.at_server("address add 198.51.100.1/24 dev net0")?;
    let mut far = server.lan.client().command("ip");
    far.args("address add 198.51.100.2/24 dev afar-0".split(' '));
    output(far)?;
    let answered = || found(&server, "10.78.0.2").is_ok_and(|said| said.contains("computer: DEPOT"));
    ensure(wait_until(FOUND_PATIENCE, answered), || server.node.log())?;
    let said = found(&server, "198.51.100.2")?;
    ensure(said.is_empty(), || format!("an answer went far:\n{said}"))
}

/// wsdd is a client of another make; what it finds stands in its log.
#[test]
#[ignore = "needs root and packages: cargo xtask test"]
fn wsdd_finds_the_server_by_both_families_and_hears_it_go() -> Proof {
    let mut server = Server::new("wsdd", 1, WS)?;
    let log = server.scratch.path().join("wsdd.log");
    let mut command = server.lan.client().command("wsdd");
    command.args(["-vv", "--discovery", "--no-host", "-i", "wsdd-0"]);
    let wsdd = Running::start("wsdd", command, &log)?;
    for family in ["10.78.0.1%wsdd-0", "[fe80::"] {
        let met = || {
            wsdd.log().lines().any(|line| {
                line.contains("discovered DEPOT in Workgroup:WORKGROUP on") && line.contains(family)
            })
        };
        ensure(wait_until(FOUND_PATIENCE, met), || {
            format!("{family}: {}\n{}", wsdd.log(), server.node.log())
        })?;
    }
    server.node.end();
    ensure(wait_until(Duration::from_secs(5), || wsdd.log().contains("Bye urn:uuid:")), || wsdd.log())
}
