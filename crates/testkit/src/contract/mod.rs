//! What every volume must do: named checks, each on a fresh and empty volume, driven by its `Caps`.
//!
//! A check that needs an ability which the volume does not claim checks that it is refused, or nothing. The
//! same checks run for each origin and each layer; `MemVolume` passes them all, so a layer over it must too.
//! What is left open on purpose, because storage differs: the order of listings, the kind of error for a path
//! through a file (`NotFound` or `NotADirectory`), replacing an empty directory by rename, whether a change tells what it
//! left behind (`Applied`).

mod carrying;
mod changes;
mod content;
mod listing;
mod naming;
mod opening;
mod quotas;
mod ranging;
mod watching;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use volume::Volume;

pub use watching::tells_of_others;

/// The longest that one check may take.
pub const CHECK_PATIENCE: Duration = Duration::from_secs(60);

/// One named check.
#[derive(Clone, Copy)]
pub struct Check {
    pub name: &'static str,
    run: fn(Arc<dyn Volume>) -> Running,
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

macro_rules! checks {
    ($($module:ident: $($name:ident)+;)+) => {
        /// All checks, in the order in which they run.
        pub const CHECKS: &[Check] = &[$($(
            Check { name: stringify!($name), run: |volume| Box::pin(async move { $module::$name(&*volume).await }) },
        )+)+];
    };
}

checks! {
    naming: root_is_a_directory missing_names names_are_kept long_names case_of_names errors_of_paths;
    opening: create_modes new_files_take_mode_and_attributes open_of_other_kinds open_expecting_a_file
        access_is_kept first_bytes_along open_survives_rename open_survives_removal open_survives_replacement
        tickets;
    content: read_write_and_past_the_end pages_are_what_is_read truncate_and_extend sparse_writes large_writes
        versions_follow_content bad_offsets set_attr_by_handle parallel_handles sync_and_close;
    listing: list_tells_what_stat_tells list_in_pages list_while_changing list_ahead list_of_other_kinds;
    changes: make_dir remove_files_and_dirs remove_expecting rename_files rename_replacing rename_dirs
        rename_expecting rename_errors hard_links hard_link_errors symlinks set_attr_by_name set_attr_errors compression sparseness
        changes_of_the_root directories_are_synced space_is_plausible read_only_refuses;
    carrying: named_values_are_kept named_values_are_told_apart named_values_go_with_the_object
        named_values_expecting_an_object named_values_that_cannot_be;
    ranging: ranges_tell_where_data_is zeroing_leaves_the_size copies_at_the_origin copies_that_cannot_be
        clones_share_whole_blocks room_is_reserved;
    quotas: quotas_of_users_are_kept quotas_count_what_owners_have quotas_that_cannot_be;
    watching: watch_tells_own_changes;
}

/// Runs all checks; panics at the end with the names of those that failed.
pub async fn run<M, F>(make: M)
where
    M: Fn() -> F,
    F: Future<Output = Arc<dyn Volume>>,
{
    run_except(make, &[]).await;
}

/// Runs all checks but expects the named ones to fail, each for the reason given beside it. One of these
/// that passes is a failure too: then the list is to be mended.
pub async fn run_except<M, F>(make: M, known_failures: &[(&str, &str)])
where
    M: Fn() -> F,
    F: Future<Output = Arc<dyn Volume>>,
{
    for (name, _) in known_failures {
        assert!(CHECKS.iter().any(|check| check.name == *name), "there is no check named {name}");
    }
    let mut surprises = Vec::new();
    for check in CHECKS {
        let volume = make().await;
        if volume.caps().read_only && check.name != "read_only_refuses" {
            continue;
        }
        let task = tokio::spawn((check.run)(volume));
        let abort = task.abort_handle();
        let outcome = match tokio::time::timeout(CHECK_PATIENCE, task).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => Err(story(failure)),
            Err(_) => {
                abort.abort();
                Err(format!("not done within {CHECK_PATIENCE:?}"))
            }
        };
        let known = known_failures.iter().find(|(name, _)| *name == check.name);
        match (outcome, known) {
            (Err(story), None) => surprises.push(format!("{}: {story}", check.name)),
            (Ok(()), Some((_, reason))) => {
                surprises.push(format!("{} passes, though listed: {reason}", check.name));
            }
            (Ok(()), None) | (Err(_), Some(_)) => {}
        }
    }
    assert!(
        surprises.is_empty(),
        "{} of {} checks surprise:\n  {}",
        surprises.len(),
        CHECKS.len(),
        surprises.join("\n  ")
    );
}

fn story(failure: tokio::task::JoinError) -> String {
    match failure.try_into_panic() {
        Ok(panic) => match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
            (Some(text), _) => text.clone(),
            (None, Some(text)) => (*text).to_owned(),
            (None, None) => "a panic without text".to_owned(),
        },
        Err(failure) => failure.to_string(),
    }
}
