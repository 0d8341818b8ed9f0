//! Which processes live, their id numbers and what they hold.
//!
//! A process that makes ids takes a node number; one that delivers also leases queue rows under its node id.
//! Its heartbeat keeps both. When it stops beating for [`DEAD_AFTER_MICROS`], any other node takes its leases
//! back into the queue. A node that finds its own row gone (it slept too long) must not go on delivering.
//!
//! A server also locks its data folder, and remembers its node id there: started again on the same folder it
//! knows that its former self is dead and takes the leases back at once.

use std::fs::File;
use std::path::Path;
use std::sync::PoisonError;

use indicia_domain::id::{IdSource, NODES_MAX};
use indicia_domain::time::SECOND_MICROS;
use sqlx::{AssertSqlSafe, Row};

use crate::{Engine, Result, Store, StoreError};

/// A node that has not beaten for this long is dead.
pub const DEAD_AFTER_MICROS: i64 = 30 * SECOND_MICROS;
/// Its number is given to another after twice that, so that ids of a number never meet.
const NUMBER_FREE_AFTER_MICROS: i64 = 2 * DEAD_AFTER_MICROS;

/// Looks at an unchanged heartbeat before its node is taken for dead.
const LOOKS_MIN: u32 = 3;

/// This process, as the database knows it.
#[derive(Debug)]
pub(crate) struct Node {
    pub id: i64,
    pub ids: IdSource,
}

/// Holds the data folder's lock while the server lives.
#[derive(Debug)]
pub struct ServerLock {
    _file: File,
}

impl Node {
    pub(crate) async fn join(store: &Store) -> Result<Node> {
        for _ in 0..16 {
            match Self::try_join(store).await {
                Err(error) if error.is_unique_violation() => continue,
                other => return other,
            }
        }
        Err(StoreError::NodesExhausted)
    }

    async fn try_join(store: &Store) -> Result<Node> {
        let now = store.now();
        let mut transaction = store.begin().await?;
        sqlx::query("DELETE FROM node WHERE heartbeat_at < $1 AND NOT EXISTS (SELECT 1 FROM queue WHERE lease_node = node.node_id AND lease_node <> 0)")
            .bind(now.0 - NUMBER_FREE_AFTER_MICROS)
            .execute(&mut *transaction)
            .await?;
        let rows =
            sqlx::query("SELECT number FROM node ORDER BY number").fetch_all(&mut *transaction).await?;
        let mut number = 0;
        for row in rows {
            if row.try_get::<i64, _>(0)? == number {
                number += 1;
            }
        }
        if number >= NODES_MAX {
            return Err(StoreError::NodesExhausted);
        }
        let ids = IdSource::new(number);
        let id = ids.next(now);
        sqlx::query("INSERT INTO node (node_id, number, started_at, heartbeat_at) VALUES ($1, $2, $3, $4)")
            .bind(id)
            .bind(number)
            .bind(now.0)
            .bind(now.0)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Node { id, ids })
    }
}

impl Store {
    /// Makes this process the server of `data_dir`: locks it, joins as a node and takes back what a former
    /// server of the same folder had leased.
    pub async fn become_server(&self, data_dir: &Path) -> Result<ServerLock> {
        let failed = |source| StoreError::DataDir { path: data_dir.display().to_string(), source };
        crate::private_folder(data_dir).map_err(failed)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(data_dir.join("server.lock"))
            .map_err(failed)?;
        if lock.try_lock().is_err() {
            return Err(StoreError::InUse(data_dir.display().to_string()));
        }
        let memo = data_dir.join("node");
        let former = std::fs::read_to_string(&memo).ok().and_then(|text| text.trim().parse::<i64>().ok());
        let node = self.node().await?.id;
        std::fs::write(&memo, format!("{node}\n")).map_err(failed)?;
        let taken = match self.engine() {
            // The file is this server's alone: whoever held leases in it is gone.
            Engine::Sqlite => self.release_leases_of_others(node).await?,
            Engine::Postgres => match former {
                Some(former) => self.release_leases(former).await?,
                None => 0,
            },
        };
        if taken > 0 {
            tracing::info!(
                mails = taken,
                "took back what the former server of this folder had begun to deliver"
            );
        }
        Ok(ServerLock { _file: lock })
    }

    /// This process's id as a holder of leases.
    pub async fn node_id(&self) -> Result<i64> {
        Ok(self.node().await?.id)
    }

    /// How far this node's clock is ahead of the database's, in microseconds; `None` where they are one clock. Nodes that
    /// disagree about the time disagree about which package has ended.
    pub async fn clock_ahead_micros(&self) -> Result<Option<i64>> {
        if self.engine() == crate::Engine::Sqlite {
            return Ok(None);
        }
        let before = self.now();
        let row = sqlx::query("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)")
            .fetch_one(self.read())
            .await?;
        // The answer is of some moment of the round trip: take its middle.
        let middle = before.0 + (self.now().0 - before.0) / 2;
        Ok(Some(middle - row.try_get::<i64, _>(0)?))
    }

    /// Says that this node lives. `false`: its row is gone, others may have taken its leases; it must let go of
    /// everything it has leased and not deliver any more under this identity.
    pub async fn heartbeat(&self) -> Result<bool> {
        let node = self.node().await?.id;
        let mut transaction = self.begin().await?;
        let done = sqlx::query("UPDATE node SET heartbeat_at = $1 WHERE node_id = $2")
            .bind(self.now().0)
            .bind(node)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes a new identity after [`Store::heartbeat`] said that the old one is gone. What was leased under the old
    /// one must have been let go of.
    pub async fn rejoin(&self) -> Result<()> {
        self.set_node(None);
        self.node().await.map(|_| ())
    }

    /// Takes the leases of dead nodes back into the queue; returns how many mails. To be called at intervals.
    ///
    /// A node is dead when its heartbeat is old by the clock and has not changed over [`LOOKS_MIN`] looks: a node
    /// whose clock is ahead does not take all others for dead.
    pub async fn reclaim_dead_leases(&self) -> Result<u64> {
        let limit = self.now().0 - DEAD_AFTER_MICROS;
        let own = self.node().await?.id;
        let rows = sqlx::query("SELECT node_id, heartbeat_at FROM node WHERE node_id > 0 AND heartbeat_at < $1 AND node_id <> $2")
            .bind(limit)
            .bind(own)
            .fetch_all(self.read())
            .await?;
        let mut silent = Vec::with_capacity(rows.len());
        for row in rows {
            silent.push((row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?));
        }
        let mut taken = 0;
        for dead in self.unchanged(&silent) {
            let mut transaction = self.begin().await?;
            // Marking the row first is what tells a node that only slept that it is dead. The row stays until its
            // number may be given to another.
            let gone =
                sqlx::query("UPDATE node SET node_id = -node_id WHERE node_id = $1 AND heartbeat_at < $2")
                    .bind(dead)
                    .bind(limit)
                    .execute(&mut *transaction)
                    .await?;
            if gone.rows_affected() == 1 {
                taken += free_leases(&mut transaction, dead, self.now().0).await?;
            }
            transaction.commit().await?;
        }
        Ok(taken + self.reclaim_orphans().await?)
    }

    /// Which of the silent nodes have been seen with this very heartbeat often enough.
    fn unchanged(&self, silent: &[(i64, i64)]) -> Vec<i64> {
        let mut seen = self.inner.silent_nodes.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|node, _| silent.iter().any(|(silent, _)| silent == node));
        let mut dead = Vec::new();
        for &(node, heartbeat) in silent {
            let entry = seen.entry(node).or_insert((heartbeat, 0));
            *entry = if entry.0 == heartbeat { (heartbeat, entry.1 + 1) } else { (heartbeat, 1) };
            if entry.1 >= LOOKS_MIN {
                dead.push(node);
            }
        }
        dead
    }

    /// Frees what is leased to no living node: claimed or accepted by a node in the moments between its death and
    /// its learning of it.
    async fn reclaim_orphans(&self) -> Result<u64> {
        const ORPHANED: &str = "lease_node <> 0 AND lease_node NOT IN (SELECT node_id FROM node)";
        let any = sqlx::query(AssertSqlSafe(format!("SELECT 1 FROM queue WHERE {ORPHANED} LIMIT 1")))
            .fetch_optional(self.read())
            .await?;
        if any.is_none() {
            return Ok(0);
        }
        let mut transaction = self.begin().await?;
        let freed = sqlx::query(AssertSqlSafe(format!(
            "UPDATE queue SET lease_node = 0, due_at = $1 WHERE {ORPHANED}"
        )))
        .bind(self.now().0)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(freed.rows_affected())
    }

    async fn release_leases(&self, node: i64) -> Result<u64> {
        let mut transaction = self.begin().await?;
        let taken = free_leases(&mut transaction, node, self.now().0).await?;
        sqlx::query("DELETE FROM node WHERE node_id = $1").bind(node).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(taken)
    }

    async fn release_leases_of_others(&self, own: i64) -> Result<u64> {
        let mut transaction = self.begin().await?;
        let freed = sqlx::query(
            "UPDATE queue SET lease_node = 0, due_at = $1 WHERE lease_node <> 0 AND lease_node <> $2",
        )
        .bind(self.now().0)
        .bind(own)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(freed.rows_affected())
    }

    /// Gives the node's number and leases back at a clean stop.
    pub(crate) async fn leave(&self, node: i64) -> Result<()> {
        self.release_leases(node).await.map(|_| ())
    }
}

async fn free_leases(connection: &mut sqlx::AnyConnection, node: i64, now: i64) -> Result<u64> {
    let freed =
        sqlx::query("UPDATE queue SET lease_node = 0, due_at = $1 WHERE lease_node = $2 AND lease_node <> 0")
            .bind(now)
            .bind(node)
            .execute(connection)
            .await?;
    Ok(freed.rows_affected())
}
