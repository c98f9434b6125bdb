//! The core over a volume in memory: what each operation promises, also to several at once.

mod caching;
mod crossing;
mod dating;
mod deleting;
mod extras;
mod judging;
mod knowing;
mod leading;
mod leasing;
mod listing;
mod locking;
mod meeting;
mod moving;
mod naming;
mod notifying;
mod opening;
mod racing;
mod reading;
mod renaming;
mod replacing;
mod restoring;
mod simulating;
mod streams;
mod tools;
mod unlinking;
mod unlisted;
