//! How fast a server is by `SftpVolume`: one long file up and down, and many small ones by a temporary name each. Prints
//! seconds, and those of the processor, for a comparison with `sftp` and `scp`.
//!
//! ```text
//! throughput HOST PORT USER KEY KNOWN_HOSTS DIRECTORY MEBIBYTES FILES
//! ```

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use origin_sftp::{SftpConfig, SftpVolume};
use rustix::time::{ClockId, clock_gettime};
use std::error::Error;
use std::time::Instant;
use tokio::task::JoinSet;
use volume::{Change, Close, Create, Cx, File, OpenHow, Priority, VPath, Volume};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// One call reads or writes so much, and so many are under way.
const BLOCK_BYTES: usize = 1 << 20;
const BLOCKS_AT_ONCE: usize = 16;
const SMALL_BYTES: usize = 4096;
const FILES_AT_ONCE: usize = 64;

#[tokio::main]
async fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, user, key, known_hosts, root, mebibytes, files] = words.as_slice() else {
        return Err("throughput HOST PORT USER KEY KNOWN_HOSTS DIRECTORY MEBIBYTES FILES".into());
    };
    let mut config = SftpConfig::new(host, user, root, known_hosts);
    config.port = port.parse()?;
    config.key = Some(key.into());
    let volume: &'static SftpVolume = Box::leak(Box::new(SftpVolume::new(config)));
    let server = volume.connect().await?;
    println!("{}: READ {}, WRITE {} bytes", server.banner, server.read_max, server.write_max);
    let (blocks, files) = (mebibytes.parse()?, files.parse()?);
    let long = VPath::parse("long")?;
    let file = volume.open(&cx(), &long, OpenHow::create(Create::New)).await?.file;
    timed(&format!("{blocks} MiB up"), up(&*file, blocks)).await?;
    timed(&format!("{blocks} MiB down"), down(&*file, blocks)).await?;
    file.close(&cx(), Close::Commit).await?;
    timed(&format!("{files} files of {SMALL_BYTES} bytes"), small(volume, files)).await
}

fn cx() -> Cx {
    Cx::system(Priority::Bulk)
}

async fn timed(what: &str, work: impl Future<Output = Outcome>) -> Outcome {
    let processor = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let (since, before) = (Instant::now(), processor());
    work.await?;
    println!(
        "{what}: {:.3} s, {:.3} s of the processor",
        since.elapsed().as_secs_f64(),
        processor() - before
    );
    Ok(())
}

async fn up(file: &dyn File, blocks: usize) -> Outcome {
    let block = &Bytes::from(vec![0x5a; BLOCK_BYTES]);
    let writes = stream::iter(0..blocks).map(|number| async move {
        Ok(file.write_at(&cx(), (number * BLOCK_BYTES) as u64, block.clone()).await?)
    });
    writes.buffered(BLOCKS_AT_ONCE).try_collect().await
}

async fn down(file: &dyn File, blocks: usize) -> Outcome {
    let reads = stream::iter(0..blocks).map(|number| async move {
        let block = file.read_at(&cx(), (number * BLOCK_BYTES) as u64, BLOCK_BYTES as u32).await?;
        if block.len() == BLOCK_BYTES { Ok(()) } else { Err("a short read".into()) }
    });
    reads.buffered(BLOCKS_AT_ONCE).try_collect().await
}

async fn small(volume: &'static SftpVolume, files: usize) -> Outcome {
    let mut under_way = JoinSet::new();
    for number in 0..files {
        if under_way.len() >= FILES_AT_ONCE
            && let Some(done) = under_way.join_next().await
        {
            done??;
        }
        under_way.spawn(one(volume, number));
    }
    while let Some(done) = under_way.join_next().await {
        done??;
    }
    Ok(())
}

/// Made, and then all the rest without waiting in between.
async fn one(volume: &SftpVolume, number: usize) -> Outcome {
    let from = VPath::parse(&format!(".temporary-{number}"))?;
    let opened = volume.open(&cx(), &from, OpenHow::create(Create::New)).await?;
    let to = VPath::parse(&format!("file-{number}"))?;
    let rename = Change::Rename { from, to, replace: true, expect: None };
    let (write, rename_cx) = (cx(), cx());
    let (written, closed, renamed) = tokio::join!(
        biased;
        opened.file.write_at(&write, 0, Bytes::from_static(&[7; SMALL_BYTES])),
        opened.file.close(&write, Close::Commit),
        volume.apply(&rename_cx, &rename),
    );
    written?;
    closed?;
    renamed?;
    Ok(())
}
