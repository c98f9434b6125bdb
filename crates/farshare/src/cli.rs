//! The command line. Commands and options are stable: they are added, not renamed.

use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Storage that lives somewhere else behaves like storage that is here.
#[derive(Parser, Debug)]
#[command(name = "farshare", version, max_term_width = 100)]
pub struct Cli {
    /// What to log on stderr: error, warn, info, debug, or a filter like `info,link=debug` [env: RUST_LOG]
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Try it on this machine: a gateway and an entrypoint over DIR, with made-up certificates and user
    Try(TryArgs),
    /// Run a node
    Serve(ConfigArgs),
    /// Mount a directory of this machine through farshare (root)
    Mount(MountArgs),
    /// Unmount what a killed `mount` has left, once it has ended
    #[command(hide = true)]
    MountGuard(MountGuardArgs),
    /// Look at configuration, certificates, peers, origins and caches without serving; exit status 0, 1 or 2
    Check(ConfigArgs),
    /// Make, issue, show and renew the certificates of the site link
    #[command(subcommand)]
    Certs(CertsCommand),
    /// Add, remove and list the users of the SMB shares
    #[command(subcommand)]
    User(UserCommand),
    /// Show what a running node does
    Status(StatusArgs),
    /// Let a running node finish what it is doing and end
    Stop(NodeArgs),
    /// Let a running node read its configuration again
    Reload(NodeArgs),
    /// Look at and tend a volume's cache on a running node
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Look at and steer the mirrors of a running node's volumes
    #[command(subcommand)]
    Mirror(MirrorCommand),
    /// List what mirrors have not got yet and what was given up
    Tasks(TasksArgs),
    /// Try again what was given up at a mirror
    Retry(OneMirror),
    /// Try whether people hear of serious errors
    #[command(subcommand)]
    Alert(AlertCommand),
}

#[derive(Args, Debug)]
pub struct TasksArgs {
    /// Only of this mirror
    pub mirror: Option<String>,
    #[command(flatten)]
    pub status: StatusArgs,
}

#[derive(Subcommand, Debug)]
pub enum MirrorCommand {
    /// List the mirrors, and how far each is
    List(StatusArgs),
    /// Send nothing until `resume`; what changes is kept in the log
    Pause(OneMirror),
    /// Go on after `pause`
    Resume(OneMirror),
    /// Compare a mirror with the volume and list what differs; exit status 1 when something does
    Verify(ComparedMirror),
    /// Compare a mirror with the volume and make it equal
    Resync(ComparedMirror),
}

#[derive(Args, Debug)]
pub struct OneMirror {
    /// The volume's name
    pub volume: String,
    /// The mirror's name [default: all of the volume]
    pub mirror: Option<String>,
    #[command(flatten)]
    pub node: NodeArgs,
}

#[derive(Args, Debug)]
pub struct ComparedMirror {
    #[command(flatten)]
    pub mirror: OneMirror,
    /// Read and compare contents, too, where size and time are the same
    #[arg(long)]
    pub contents: bool,
}

#[derive(Args, Debug)]
pub struct ConfigArgs {
    /// The node's configuration
    #[arg(long, value_name = "FILE", default_value = crate::config::DEFAULT_FILE)]
    pub config: PathBuf,
}

#[derive(Args, Debug)]
pub struct TryArgs {
    /// The directory to share
    pub dir: PathBuf,
    /// Where to serve SMB [default: 127.0.0.1:4450, or a free port when that one is taken]
    #[arg(long, value_name = "ADDR")]
    pub smb: Option<SocketAddr>,
    /// Where to serve status and metrics over HTTP [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<SocketAddr>,
    /// Keep certificates, users and cache here [default: a temporary directory, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Print one line of JSON when ready, and nothing else
    #[arg(long)]
    pub json: bool,
    /// The share's name [default: the directory's name]
    #[arg(long, value_name = "NAME")]
    pub share: Option<String>,
    /// Who may log in [default: the current user]
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// A file (mode 0600) with the password [default: a generated one]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// A second user with the same password
    #[arg(long, value_name = "NAME", hide = true)]
    pub second_user: Option<String>,
    /// A further share, NAME=DIR; can be repeated
    #[arg(long, value_name = "NAME=DIR", hide = true)]
    pub extra_share: Vec<String>,
    /// Where snapshots lie below each share
    #[arg(long, value_name = "PATTERN", hide = true)]
    pub snapshots: Option<String>,
    /// Links are shown to clients
    #[arg(long, hide = true)]
    pub client_symlinks: bool,
    /// Serve the FSCTLs that Samba's test suite needs
    #[arg(long, hide = true)]
    pub protocol_tests: bool,
    /// Without a cache: every read crosses the link
    #[arg(long)]
    pub no_cache: bool,
    /// Opens survive a restart with the same --state, where clients ask for that
    #[arg(long)]
    pub continuously_available: bool,

    /// Without link and cache: share the directory itself
    #[arg(long)]
    pub direct: bool,
    /// Room for the cache
    #[arg(long, value_name = "SIZE", default_value = "10GiB", value_parser = crate::config::Size::parse)]
    pub cache_size: crate::config::Size,
}

#[derive(Args, Debug)]
pub struct MountArgs {
    /// The directory that is mounted
    pub dir: PathBuf,
    /// Over which directory
    pub mountpoint: PathBuf,
    /// Refuse every change
    #[arg(long)]
    pub read_only: bool,
    /// Let setuid bits and devices in there mean what they say
    #[arg(long)]
    pub suid_and_dev: bool,
    /// Keep everybody out but the user who mounts
    #[arg(long)]
    pub private: bool,
    /// How long the kernel believes names and attributes that others may have changed in the directory itself
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    pub valid_ms: u64,
}

#[derive(Args, Debug)]
pub struct MountGuardArgs {
    /// The mount's device, as in /proc/self/mountinfo
    pub device: String,
    pub mountpoint: PathBuf,
}

/// Which running node.
#[derive(Args, Debug)]
pub struct NodeArgs {
    /// The node's configuration, to find its state directory [default: /etc/farshare/farshare.toml]
    #[arg(long, value_name = "FILE", conflicts_with = "state")]
    pub config: Option<PathBuf>,
    /// The node's state directory
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct StatusArgs {
    #[command(flatten)]
    pub node: NodeArgs,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Subcommand, Debug)]
pub enum CertsCommand {
    /// Make the certificate authority of an installation
    Init(CertsDir),
    /// Make key and certificate of a node
    Issue {
        /// The node's name
        name: String,
        #[command(flatten)]
        dir: CertsDir,
    },
    /// List the certificates and when they end
    Show(CertsDir),
    /// Take back all certificates of a node's key
    Revoke {
        /// The node's name
        name: String,
        #[command(flatten)]
        dir: CertsDir,
    },
    /// Give certificates a new life with the same key
    Renew {
        /// The node's name [default: all]
        name: Option<String>,
        #[command(flatten)]
        dir: CertsDir,
    },
}

#[derive(Args, Debug)]
pub struct CertsDir {
    /// Where the certificates lie [default: `certs` of [link] in the configuration]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The node's configuration
    #[arg(long, value_name = "FILE", default_value = crate::config::DEFAULT_FILE)]
    pub config: PathBuf,
}

#[derive(Subcommand, Debug)]
pub enum UserCommand {
    /// Add a user
    Add(UserPassword),
    /// Remove a user
    Remove(UserName),
    /// List the users
    List(NodeArgs),
    /// Give a user a new password
    Passwd(UserPassword),
}

#[derive(Args, Debug)]
pub struct UserName {
    pub name: String,
    #[command(flatten)]
    pub node: NodeArgs,
}

#[derive(Args, Debug)]
pub struct UserPassword {
    pub name: String,
    /// A file (mode 0600) with the password [default: asked for on the terminal, or one line of stdin]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    #[command(flatten)]
    pub node: NodeArgs,
}

#[derive(Subcommand, Debug)]
pub enum CacheCommand {
    /// What is kept, and how often it helped
    Stat(CacheVolume),
    /// Fetch a file, or everything below a directory
    Warm(CachePath),
    /// Keep what is cached at and below a path from eviction
    Pin(CachePath),
    /// End a pin
    Unpin(CachePath),
    /// Drop what was not used for longest
    Evict {
        /// How much room to make
        #[arg(value_parser = crate::config::Size::parse)]
        size: crate::config::Size,
        #[command(flatten)]
        volume: CacheVolume,
    },
    /// Drop everything that is cached, pinned or not
    Flush(CacheVolume),
}

#[derive(Args, Debug)]
pub struct CacheVolume {
    /// The volume's name
    pub volume: String,
    #[command(flatten)]
    pub node: NodeArgs,
}

#[derive(Args, Debug)]
pub struct CachePath {
    /// The volume's name
    pub volume: String,
    /// The path inside the volume; / is all of it
    pub path: String,
    #[command(flatten)]
    pub node: NodeArgs,
}

#[derive(Subcommand, Debug)]
pub enum AlertCommand {
    /// Send a notice that nothing is wrong by each way that [alerts] names
    Test(ConfigArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_stable_commands_parse() {
        for line in [
            "farshare try /srv --smb 127.0.0.1:4450 --admin 127.0.0.1:7441 --state /tmp/s --json",
            "farshare serve --config f.toml",
            "farshare check --config f.toml",
            "farshare certs init",
            "farshare certs issue dc1 --dir /etc/farshare/certs",
            "farshare certs show",
            "farshare certs renew",
            "farshare user add alice --password-file pw",
            "farshare user remove alice",
            "farshare user list",
            "farshare user passwd alice",
            "farshare status --json",
            "farshare stop --state /tmp/s",
            "farshare reload",
            "farshare cache stat projects",
            "farshare cache warm projects a/b",
            "farshare cache pin projects a/b",
            "farshare cache unpin projects a/b",
            "farshare cache evict 10GiB projects",
            "farshare cache flush projects --log debug",
            "farshare mirror list --json",
            "farshare mirror pause web m1",
            "farshare mirror resume web",
            "farshare mirror verify web m1 --contents --state /tmp/s",
            "farshare mirror resync web",
            "farshare tasks m1 --json",
            "farshare retry web m1",
            "farshare alert test --config f.toml",
        ] {
            if let Err(error) = Cli::try_parse_from(line.split(' ')) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn passwords_have_no_place_on_the_command_line() {
        for line in ["farshare user add alice secret", "farshare try /srv --password secret"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }

    #[test]
    fn help_lists_these_commands() {
        let help = Cli::command().render_help().to_string();
        let listed: Vec<&str> = help
            .lines()
            .skip_while(|line| !line.starts_with("Commands:"))
            .skip(1)
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        let expect = [
            "try", "serve", "mount", "check", "certs", "user", "status", "stop", "reload", "cache", "mirror",
            "tasks", "retry", "alert", "help",
        ];
        assert_eq!(listed, expect, "{help}");
    }
}
