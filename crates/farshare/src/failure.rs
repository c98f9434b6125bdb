//! How a command fails: a message for people and an exit status.

use crate::config::ConfigError;
use std::fmt::Display;
use std::process::ExitCode;

/// Why the program ends without success. The message says what failed, on what, and what to do.
#[derive(Debug)]
pub struct Failure {
    message: String,
    /// 1: it was tried and failed. 2: the configuration or the command line is wrong, nothing was started.
    status: u8,
}

impl Failure {
    /// It was tried and failed.
    pub fn failed(message: impl Display) -> Failure {
        Failure { message: message.to_string(), status: 1 }
    }

    /// The configuration or the command line is wrong.
    pub fn usage(message: impl Display) -> Failure {
        Failure { message: message.to_string(), status: 2 }
    }

    /// Ends without a further word: the command has said everything.
    pub fn silent(status: u8) -> Failure {
        Failure { message: String::new(), status }
    }

    /// Ended at once, on request, with work under way.
    pub fn cut_off(status: u8) -> Failure {
        Failure { message: "stopped at once, what was under way is cut off".to_owned(), status }
    }

    /// Shows the message on stderr.
    pub fn report(&self) -> ExitCode {
        if !self.message.is_empty() {
            eprintln!("farshare: {}", self.message);
        }
        ExitCode::from(self.status)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::usage(error)
    }
}

impl From<front_admin::ClientError> for Failure {
    fn from(error: front_admin::ClientError) -> Failure {
        Failure::failed(error)
    }
}
