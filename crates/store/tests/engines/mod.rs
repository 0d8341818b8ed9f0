//! Stores to test with: a fresh SQLite file, and a fresh database in a private PostgreSQL cluster.
//!
//! `TEST_POSTGRES_URL` names a running server's URL (without a database) to use; without it the first test
//! of a process starts a cluster of its own on a free loopback port and stops it when the process ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use indicia_domain::time::{Clock, ManualClock, UnixMicros};
use indicia_store::Store;
use sqlx::{Connection, Executor};

/// 2026-11-22T04:00:00Z: noon of a local day in Asia/Shanghai.
pub const NOON: UnixMicros = UnixMicros(1_795_320_000_000_000);

pub struct Bench {
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub url: String,
    pub dir: tempfile::TempDir,
}

impl Bench {
    pub async fn sqlite() -> Bench {
        Bench::open("sqlite".to_owned()).await
    }

    pub async fn postgres() -> Bench {
        Bench::open(fresh_database().await).await
    }

    async fn open(url: String) -> Bench {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(ManualClock::at(NOON));
        let store =
            Store::open(&url, dir.path(), clock.clone() as Arc<dyn Clock>).await.expect("the store opens");
        Bench { store, clock, url, dir }
    }

    /// The same database as another process sees it.
    #[allow(dead_code)]
    pub async fn second_node(&self) -> Store {
        Store::open(&self.url, self.dir.path(), self.clock.clone() as Arc<dyn Clock>)
            .await
            .expect("the store opens")
    }
}

/// Runs a test on both engines.
#[macro_export]
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() { super::$name($crate::engines::Bench::sqlite().await).await })+ }
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() { super::$name($crate::engines::Bench::postgres().await).await })+ }
    };
}

async fn fresh_database() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let server = server_url();
    let name = format!("t{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    sqlx::any::install_default_drivers();
    let mut connection = connected(&format!("{server}/postgres")).await;
    connection
        .execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .await
        .expect("a database is made");
    connection.close().await.expect("closed");
    format!("{server}/{name}")
}

/// A cluster takes connections a little before it answers them.
async fn connected(url: &str) -> sqlx::AnyConnection {
    let mut tries = 0;
    loop {
        match sqlx::AnyConnection::connect(url).await {
            Ok(connection) => return connection,
            Err(error) if tries == 100 => panic!("the test cluster does not answer: {error}"),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
        tries += 1;
    }
}

fn server_url() -> String {
    if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
        return url.trim_end_matches('/').to_owned();
    }
    static CLUSTER: OnceLock<Mutex<Cluster>> = OnceLock::new();
    CLUSTER.get_or_init(|| Mutex::new(Cluster::start())).lock().expect("not poisoned").url.clone()
}

struct Cluster {
    url: String,
}

impl Cluster {
    fn start() -> Cluster {
        let bin = binaries();
        let dir = std::env::temp_dir().join(format!("indicia-pg-{}", std::process::id()));
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a free port")
            .port();
        let script = format!(
            "set -e; {bin}/initdb -D {dir} -U postgres -A trust --no-sync >/dev/null; \
             exec {bin}/postgres -D {dir} -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=400",
            bin = bin.display(),
            dir = dir.display()
        );
        std::fs::create_dir_all(&dir).expect("a folder for the cluster");
        // PostgreSQL refuses to run as root: as root it runs as the user that its package made.
        let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0"));
        let mut command = if root {
            assert!(
                Command::new("chown").arg("postgres").arg(&dir).status().is_ok_and(|status| status.success()),
                "chown to postgres"
            );
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]);
            command
        } else {
            Command::new("env")
        };
        // The shell ends the server when this process, which holds the pipe, is gone.
        let wrapper =
            format!("( {script} ) & pid=$!; cat >/dev/null; kill $pid; wait $pid; rm -rf {}", dir.display());
        let child = command
            .args(["sh", "-c", &wrapper])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        std::mem::forget(child.expect("the cluster starts").stdin);
        for _ in 0..300 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Cluster { url: format!("postgres://postgres@127.0.0.1:{port}") };
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("the test's PostgreSQL cluster did not come up in 30 s");
    }
}

fn binaries() -> PathBuf {
    let found = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"));
    found
        .filter(|bin| Path::join(bin, "initdb").exists())
        .max()
        .expect("PostgreSQL's server is not installed: apt-get install postgresql, or set TEST_POSTGRES_URL")
}
