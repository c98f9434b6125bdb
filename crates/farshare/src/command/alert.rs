//! `farshare alert test`: does it arrive? No node needs to run.

use crate::config::Config;
use crate::failure::Failure;
use std::path::Path;

/// One line for each channel; exit status 1 when one of them failed.
pub async fn test(file: &Path) -> Result<(), Failure> {
    let config = Config::load(file)?;
    let Some(settings) = &config.alerts else {
        let mend = "add [alerts] with mail, webhook or syslog = true";
        return Err(Failure::usage(format_args!("{}: nobody is told of anything; {mend}", file.display())));
    };
    let outcomes = settings.start(&config.name).test().await;
    for (channel, outcome) in &outcomes {
        match outcome {
            Ok(()) => println!("ok      {channel}"),
            Err(why) => println!("FAILED  {channel}: {why}"),
        }
    }
    match outcomes.iter().all(|(_, outcome)| outcome.is_ok()) {
        true => Ok(()),
        false => Err(Failure::silent(1)),
    }
}
