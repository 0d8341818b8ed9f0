//! The two engines behind one connection type, and the only place where their dialects differ.
//!
//! SQLite runs in WAL mode with `synchronous=FULL`: a commit returns when it is on stable storage. It has one
//! writer, so writing goes through a pool of one connection and waits in line there instead of in SQLite's
//! busy handler; reading has connections of its own. PostgreSQL serves both from one pool.

use std::borrow::Cow;
use std::path::Path;
use std::str::FromStr;
use std::sync::Once;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Any, AnyPool, AssertSqlSafe, Executor, SqlSafeStr, Transaction};

use crate::error::{Result, StoreError};

/// Which database holds the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

const MIGRATIONS: [(i64, &str, &str); 5] = [
    (1, "foundation", include_str!("../migrations/0001_foundation.sql")),
    (2, "billing", include_str!("../migrations/0002_billing.sql")),
    (3, "reputation", include_str!("../migrations/0003_reputation.sql")),
    (4, "lists", include_str!("../migrations/0004_lists.sql")),
    (5, "dedicated_ip", include_str!("../migrations/0005_dedicated_ip.sql")),
];

/// Pages of 8 KiB: a mail of 10 KB takes two, and a changed counter does not write much more than itself.
const SQLITE_SETTINGS: &str = "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA busy_timeout = 15000; PRAGMA cache_size = -32000; PRAGMA temp_store = MEMORY; \
     PRAGMA wal_autocheckpoint = 4000;";

/// The name of the SQLite database in the data folder.
pub const DATABASE_FILE: &str = "indicia.db";

/// Makes a folder that only its owner can look into: the database holds secrets. One that is there stays as it is.
pub fn private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

impl Engine {
    /// What locks the rows that a transaction reads in order to change them. SQLite's writer is alone anyway.
    pub(crate) fn for_update(self) -> &'static str {
        match self {
            Engine::Sqlite => "",
            Engine::Postgres => " FOR UPDATE",
        }
    }

    /// The same, passing over rows that another node has locked.
    pub(crate) fn for_update_skip_locked(self) -> &'static str {
        match self {
            Engine::Sqlite => "",
            Engine::Postgres => " FOR UPDATE OF q SKIP LOCKED",
        }
    }

    fn begin_write(self) -> &'static str {
        match self {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN",
        }
    }

    fn schema(self, text: &str) -> String {
        let (bytes, clustered) = match self {
            Engine::Sqlite => ("BLOB", " WITHOUT ROWID"),
            Engine::Postgres => ("BYTEA", ""),
        };
        text.replace("{bytes}", bytes).replace("{clustered}", clustered)
    }
}

/// The connections to one database.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    pub engine: Engine,
    pub read: AnyPool,
    write: AnyPool,
}

impl Connections {
    /// `url` is `sqlite` (a file in `data_dir`) or `postgres://…`.
    pub async fn open(url: &str, data_dir: &Path) -> Result<Self> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let connections = if url == "sqlite" {
            Self::open_sqlite(data_dir).await?
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let separator = if url.contains('?') { '&' } else { '?' };
            let options =
                AnyConnectOptions::from_str(&format!("{url}{separator}statement-cache-capacity=400"))?;
            let pool = AnyPoolOptions::new().max_connections(12).acquire_timeout(Duration::from_secs(30));
            let pool = pool.connect_with(options).await?;
            Connections { engine: Engine::Postgres, read: pool.clone(), write: pool }
        } else {
            return Err(StoreError::Address(url.to_owned()));
        };
        connections.migrate().await?;
        Ok(connections)
    }

    async fn open_sqlite(data_dir: &Path) -> Result<Self> {
        let unusable = |source| StoreError::DataDir { path: data_dir.display().to_string(), source };
        private_folder(data_dir).map_err(unusable)?;
        let file = data_dir.join(DATABASE_FILE);
        let escaped = file.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        let options = AnyConnectOptions::from_str(&format!("sqlite://{escaped}?mode=rwc"))?;
        let pool = |connections: u32| {
            AnyPoolOptions::new()
                .max_connections(connections)
                .min_connections(1)
                .acquire_timeout(Duration::from_secs(60))
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
                .after_connect(|connection, _| {
                    Box::pin(async move {
                        connection.execute(sqlx::raw_sql(SQLITE_SETTINGS)).await?;
                        Ok(())
                    })
                })
        };
        let write = pool(1).connect_with(options.clone()).await?;
        let read = pool(4).connect_with(options).await?;
        Ok(Connections { engine: Engine::Sqlite, read, write })
    }

    async fn migrate(&self) -> Result<()> {
        let migrations = MIGRATIONS
            .iter()
            .map(|&(version, name, text)| {
                let sql = AssertSqlSafe(self.engine.schema(text)).into_sql_str();
                Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql, false)
            })
            .collect();
        Ok(Migrator::with_migrations(migrations).run(&self.write).await?)
    }

    /// Starts a transaction that may write.
    pub async fn begin(&self) -> Result<Transaction<'static, Any>> {
        self.begin_on(&self.write, self.engine.begin_write()).await
    }

    /// Starts a transaction that sees one state of the database throughout.
    pub async fn begin_snapshot(&self) -> Result<Transaction<'static, Any>> {
        let statement = match self.engine {
            Engine::Sqlite => "BEGIN DEFERRED",
            Engine::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        self.begin_on(&self.read, statement).await
    }

    /// A caller that is dropped while PostgreSQL begins (its client hung up) would leave the connection in a
    /// transaction that sqlx 0.9 counts only once it has begun, and so never rolls back. A task of its own is not
    /// dropped; the transaction that nobody takes from it is rolled back as usual.
    async fn begin_on(&self, pool: &AnyPool, statement: &'static str) -> Result<Transaction<'static, Any>> {
        if self.engine == Engine::Sqlite {
            return Ok(pool.begin_with(statement).await?);
        }
        let pool = pool.clone();
        match tokio::spawn(async move { pool.begin_with(statement).await }).await {
            Ok(begun) => Ok(begun?),
            Err(_) => Err(StoreError::Closed),
        }
    }

    /// Runs `VACUUM`-free housekeeping of the write-ahead log; nothing on PostgreSQL.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}
