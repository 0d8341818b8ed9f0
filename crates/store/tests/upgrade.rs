//! A database of the version before there were bills is brought up to date, its past included.

mod engines;
mod support;

use engines::Bench;
use indicia_domain::time::{HOUR_MICROS, UnixMicros};
use indicia_store::queue::Cancelled;
use sqlx::{Connection, Executor};
use support::{Account, names};

on_both_engines!(r25_totals_of_earlier_lines_are_filled);

/// What the earlier version did not have is taken away; opening the store again must bring it back.
async fn r25_totals_of_earlier_lines_are_filled(bench: Bench) {
    let account = Account::new(&bench.store, "Asia/Kathmandu").await;
    account.buy(20).await;
    let admission = account.admission(None);
    admission.submit(account.mail(&names(150)).await).await.expect("accepted");
    bench.clock.advance_micros(3 * HOUR_MICROS);
    let kept = admission.submit(account.mail(&names(90)).await).await.expect("accepted");
    let cancelled = bench.store.cancel(account.id, kept.message_id(), "test").await.expect("cancelled");
    assert!(matches!(cancelled, Cancelled::Mails(90)));
    let all = (UnixMicros(0), UnixMicros(i64::MAX));
    let before = bench.store.usage_hours(account.id, all.0, all.1).await.unwrap();
    let days = bench.store.package_days(account.id, 0, i64::MAX).await.unwrap();
    assert!(before.iter().any(|hour| hour.free_mails == 150));

    sqlx::any::install_default_drivers();
    let url = match bench.url.as_str() {
        "sqlite" => format!("sqlite://{}", bench.dir.path().join("indicia.db").display()),
        url => url.to_owned(),
    };
    let mut raw = sqlx::AnyConnection::connect(&url).await.expect("connected");
    for sql in [
        "DELETE FROM usage_hour",
        "DELETE FROM package_day",
        "DELETE FROM setting WHERE name = 'totals_filled'",
    ] {
        raw.execute(sql).await.expect("executed");
    }
    raw.close().await.expect("closed");

    let again = bench.second_node().await;
    let filled = again.usage_hours(account.id, all.0, all.1).await.unwrap();
    let used = |hours: &[indicia_store::usage::UsageHour]| {
        hours
            .iter()
            .filter(|hour| hour.free_mails + hour.package_mails + hour.payg_mails > 0)
            .copied()
            .collect::<Vec<_>>()
    };
    assert_eq!(used(&filled), used(&before));
    let drawn = |days: Vec<indicia_store::usage::PackageDay>| {
        days.into_iter().filter(|day| day.mails != 0).collect::<Vec<_>>()
    };
    assert_eq!(drawn(again.package_days(account.id, 0, i64::MAX).await.unwrap()), drawn(days));
    account.verify().await;
}
