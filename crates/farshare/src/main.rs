//! farshare: storage that lives somewhere else behaves like storage that is here.
//!
//! This is the binary: command line, configuration, the order of layers (`stack.rs`), and the supervision of a
//! running node (`node.rs`). All work is done in the crates below.

mod acquainted;
mod cli;
mod command;
mod config;
mod failure;
mod mirrors;
mod mount_guard;
mod node;
mod process;
mod stack;
mod status_text;
mod supervise;
mod terminal;
mod users;

use clap::Parser;
use cli::{Cli, Command};
use failure::Failure;
use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

/// Payloads of a megabyte come and go with every request. The system's allocator gives each one back to the
/// kernel, and the page faults of taking it again cost as much as all other work of a read.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What still runs after the orderly end (a read that hangs at a dead origin) has this long.
const LAST_TASKS_PATIENCE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let default_log = match &cli.command {
        Command::Serve(_) => "info",
        _ => "warn",
    };
    process::log(cli.log.as_deref(), default_log).map_err(Failure::usage)?;
    process::raise_limits();
    match &cli.command {
        Command::Try(args) => at_length(command::try_out::run(args)),
        Command::Serve(args) => at_length(command::serve::run(&args.config)),
        Command::Mount(args) => at_length(command::mount::run(args)),
        Command::MountGuard(args) => mount_guard::run(args),
        Command::Check(args) => briefly(command::check::run(&args.config)),
        Command::Certs(command) => command::certs::run(command),
        Command::User(command) => command::user::run(command),
        Command::Status(args) => briefly(command::control::status(args)),
        Command::Stop(node) => briefly(command::control::stop(node)),
        Command::Reload(node) => briefly(command::control::reload(node)),
        Command::Cache(command) => briefly(command::control::cache(command)),
        Command::Mirror(command) => briefly(command::control::mirror(command)),
        Command::Tasks(args) => briefly(command::control::tasks(args)),
        Command::Retry(of) => briefly(command::control::retry(of)),
        Command::Alert(cli::AlertCommand::Test(args)) => briefly(command::alert::test(&args.config)),
    }
}

/// Runs what only asks a node, on this thread.
fn briefly(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|cause| Failure::failed(format_args!("no runtime: {cause}")))?.block_on(work)
}

/// Runs a node, on all processors.
fn at_length(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|cause| Failure::failed(format_args!("no runtime: {cause}")))?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(LAST_TASKS_PATIENCE);
    result
}
