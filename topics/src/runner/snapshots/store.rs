//! Where snapshots are kept: `<machine>/<partition>/<position>.snapshot` in an object store.

use std::path::Path as FilePath;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::runner::RunnerError;

/// How many snapshots of a partition are kept: a damaged one is skipped for an older one.
const KEPT: usize = 3;
/// A store that does not answer within this is away.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// How often a waiting thread says that it is alive.
const BEAT: Duration = Duration::from_millis(200);
const SUFFIX: &str = ".snapshot";

/// The snapshots of one machine.
#[derive(Clone, Debug)]
pub struct SnapshotStore {
    store: Arc<dyn ObjectStore>,
    machine: &'static str,
    runtime: Handle,
}

/// A snapshot that is in the store.
#[derive(Debug)]
pub struct Saved {
    /// Its size.
    pub bytes: usize,
    /// How long the store took.
    pub took: Duration,
}

impl SnapshotStore {
    /// Snapshots in a folder, which is made when it is not there. Requests run on `runtime`.
    ///
    /// # Errors
    /// When the folder cannot be made or used.
    pub fn in_folder(folder: &FilePath, machine: &'static str, runtime: Handle) -> Result<Self, RunnerError> {
        let unusable = |error: String| RunnerError::Snapshots(format!("{}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(|error| unusable(error.to_string()))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| unusable(error.to_string()))?;
        Ok(Self {
            // A snapshot that is listed survives a power loss: fsync is not the default.
            store: Arc::new(store.with_fsync(true)),
            machine,
            runtime,
        })
    }

    fn folder(&self, partition: i32) -> Path {
        Path::from_iter([self.machine, &partition.to_string()])
    }

    /// The path of a snapshot; positions are padded, so that the order of names is that of positions.
    pub fn path(&self, partition: i32, position: i64) -> Path {
        self.folder(partition).join(format!("{position:020}{SUFFIX}"))
    }

    /// The positions of a partition's snapshots, the highest first. Blocks the calling thread;
    /// `beat` is called meanwhile.
    ///
    /// # Errors
    /// When the store is away.
    pub fn positions(&self, partition: i32, beat: impl Fn()) -> Result<Vec<i64>, RunnerError> {
        self.blocking(self.list(partition), beat)
    }

    /// The bytes of a snapshot. Blocks the calling thread; `beat` is called meanwhile.
    ///
    /// # Errors
    /// When the store is away or does not have it.
    pub fn load(&self, partition: i32, position: i64, beat: impl Fn()) -> Result<Vec<u8>, RunnerError> {
        let request = async {
            let object = self.store.get(&self.path(partition, position)).await?;
            Ok(object.bytes().await?.to_vec())
        };
        self.blocking(request, beat)
    }

    /// Saves a snapshot in the background, then deletes those that are too many. The receiver gets
    /// the outcome.
    pub fn save(&self, partition: i32, position: i64, bytes: Vec<u8>) -> oneshot::Receiver<Result<Saved, String>> {
        let (report, outcome) = oneshot::channel();
        let store = self.clone();
        self.runtime.spawn(async move {
            let (size, started) = (bytes.len(), Instant::now());
            let saving = async {
                let path = store.path(partition, position);
                store.store.put(&path, bytes.into()).await?;
                store.prune(partition).await
            };
            let result = match timeout(ANSWER_LIMIT, saving).await {
                Ok(Ok(())) => Ok(Saved {
                    bytes: size,
                    took: started.elapsed(),
                }),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("the store does not answer".to_owned()),
            };
            // Nobody listens any more when the partition went away: the snapshot stays good.
            let _ = report.send(result);
        });
        outcome
    }

    async fn prune(&self, partition: i32) -> object_store::Result<()> {
        for position in self.list(partition).await?.into_iter().skip(KEPT) {
            match self.store.delete(&self.path(partition, position)).await {
                Err(object_store::Error::NotFound { .. }) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn list(&self, partition: i32) -> object_store::Result<Vec<i64>> {
        let mut positions = Vec::new();
        let mut objects = self.store.list(Some(&self.folder(partition)));
        while let Some(object) = objects.next().await {
            let location = object?.location;
            let position = location.filename().and_then(|name| name.strip_suffix(SUFFIX));
            positions.extend(position.and_then(|digits| digits.parse::<i64>().ok()));
        }
        positions.sort_unstable_by(|a, b| b.cmp(a));
        Ok(positions)
    }

    fn blocking<T>(
        &self,
        request: impl Future<Output = object_store::Result<T>>,
        beat: impl Fn(),
    ) -> Result<T, RunnerError> {
        let failed = |reason: String| Err(RunnerError::Snapshots(reason));
        // Made inside the runtime, whose clock it needs.
        let mut request = pin!(async { timeout(ANSWER_LIMIT, request).await });
        loop {
            // A large snapshot takes its time: waiting for it is no stall.
            let answer = self.runtime.block_on(async { timeout(BEAT, request.as_mut()).await });
            beat();
            match answer {
                Ok(Ok(Ok(value))) => return Ok(value),
                Ok(Ok(Err(error))) => return failed(error.to_string()),
                Ok(Err(_)) => return failed("the store does not answer".to_owned()),
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_newest_three_are_kept() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = std::env::temp_dir().join(format!("brokerx-snapshots-{}", std::process::id()));
        let store = SnapshotStore::in_folder(&folder, "matcher", runtime.handle().clone()).unwrap();
        for position in [7, 1_000_000, 30, 200] {
            let outcome = store.save(2, position, position.to_string().into_bytes());
            let saved = runtime.block_on(outcome).unwrap().unwrap();
            assert_eq!(saved.bytes, position.to_string().len());
        }
        assert_eq!(store.positions(2, || {}).unwrap(), [1_000_000, 200, 30]);
        assert_eq!(store.positions(3, || {}).unwrap(), [0_i64; 0]);
        assert_eq!(store.load(2, 200, || {}).unwrap(), b"200");
        store.load(2, 7, || {}).expect_err("it was too many");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
