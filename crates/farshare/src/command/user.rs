//! `farshare user`: who may log in at the SMB shares.

use crate::cli::{NodeArgs, UserCommand, UserPassword};
use crate::command::state_dir;
use crate::config::read_secret;
use crate::failure::Failure;
use crate::terminal;
use crate::users::UserFile;
use zeroize::Zeroizing;

pub fn run(command: &UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::Add(user) => {
            let password = password(user)?;
            file(&user.node)?.add(&user.name, &password).map_err(Failure::failed)?;
            println!("added {}; a running node knows at once", user.name);
        }
        UserCommand::Passwd(user) => {
            let password = password(user)?;
            file(&user.node)?.set_password(&user.name, &password).map_err(Failure::failed)?;
            println!("{} has a new password, in force for the next login", user.name);
        }
        UserCommand::Remove(user) => {
            file(&user.node)?.remove(&user.name).map_err(Failure::failed)?;
            println!("removed {}; sessions that exist go on until they are closed", user.name);
        }
        UserCommand::List(node) => {
            for name in file(node)?.names().map_err(Failure::failed)? {
                println!("{name}");
            }
        }
    }
    Ok(())
}

fn file(node: &NodeArgs) -> Result<UserFile, Failure> {
    Ok(UserFile::in_state(&state_dir(node)?))
}

fn password(user: &UserPassword) -> Result<Zeroizing<String>, Failure> {
    match &user.password_file {
        Some(file) => read_secret(file).map_err(Failure::usage),
        None => terminal::ask_new_password(&user.name).map_err(Failure::failed),
    }
}
