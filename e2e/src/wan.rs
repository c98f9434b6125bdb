//! A WAN on this machine: two network namespaces and a link between them with delay, rate and loss (`e2e/wan`).

use crate::Outcome;
use crate::process::{Net, output};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How far and how wide.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub rtt_ms: u32,
    pub rate_mbit: u32,
    pub loss_percent: f64,
}

/// One end: `A` is where the file server is, `B` where its users are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    A,
    B,
}

pub struct Wan {
    name: String,
    shape: Shape,
}

fn tool() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("wan/wan")
}

impl Wan {
    /// Makes the namespaces `NAME-a` and `NAME-b` (a name of at most nine letters and digits).
    pub fn up(name: &str, shape: Shape) -> Outcome<Wan> {
        // What a run that was killed left behind.
        if Path::new("/run/wan").join(name).exists() {
            let mut stale = Command::new(tool());
            stale.args(["-l", name, "down"]);
            output(stale)?;
        }
        let mut command = Command::new(tool());
        command.args(["-l", name, "up", "--tcp-cc", "cubic"]).args(words(shape));
        output(command)?;
        Ok(Wan { name: name.to_owned(), shape })
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Changes delay, rate and loss while traffic flows.
    pub fn set(&mut self, shape: Shape) -> Outcome {
        self.run(&["set"], &words(shape))?;
        self.shape = shape;
        Ok(())
    }

    /// Nothing passes any more.
    pub fn cut(&self) -> Outcome {
        self.run(&["cut"], &[]).map(drop)
    }

    pub fn restore(&self) -> Outcome {
        self.run(&["restore"], &[]).map(drop)
    }

    /// Bytes that have left A for B since the start, all headers counted.
    pub fn bytes_to_b(&self) -> Outcome<u64> {
        self.bytes("ab")
    }

    /// Bytes that have left B for A since the start.
    pub fn bytes_to_a(&self) -> Outcome<u64> {
        self.bytes("ba")
    }

    fn bytes(&self, direction: &str) -> Outcome<u64> {
        let text = self.run(&["get", direction, "out_bytes"], &[])?;
        text.trim().parse().map_err(|_| format!("wan get {direction} out_bytes said {text:?}"))
    }

    pub fn net(&self, side: Side) -> Net {
        let letter = match side {
            Side::A => 'a',
            Side::B => 'b',
        };
        Net::Namespace(format!("{}-{letter}", self.name))
    }

    /// The address of a side, as the other reaches it.
    pub fn address(&self, side: Side) -> Outcome<Ipv4Addr> {
        let variable = if side == Side::A { "WAN_IP_A" } else { "WAN_IP_B" };
        let text = self.run(&["exec", "a", "printenv", variable], &[])?;
        text.trim().parse().map_err(|_| format!("{variable} is {text:?}"))
    }

    fn run(&self, words: &[&str], more: &[String]) -> Outcome<String> {
        let mut command = Command::new(tool());
        command.args(["-l", &self.name]).args(words).args(more);
        output(command)
    }
}

impl Drop for Wan {
    fn drop(&mut self) {
        if let Err(why) = self.run(&["down"], &[]) {
            eprintln!("wan {}: {why}", self.name);
        }
    }
}

fn words(shape: Shape) -> Vec<String> {
    let value = |name: &str, value: String| [name.to_owned(), value];
    [
        value("--rtt-ms", shape.rtt_ms.to_string()),
        value("--rate-mbit", shape.rate_mbit.to_string()),
        value("--loss", shape.loss_percent.to_string()),
    ]
    .concat()
}
