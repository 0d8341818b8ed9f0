//! Small values that belong to the whole installation: secrets made once, the demo's clock.

use sqlx::Row;

use crate::{Result, Store};

impl Store {
    /// The value of a setting, `make`-ing and keeping it if there is none yet. Of several nodes that start at
    /// once, all get the one that was kept.
    pub async fn setting_or_insert(&self, name: &str, make: impl FnOnce() -> String) -> Result<String> {
        if let Some(value) = self.setting(name).await? {
            return Ok(value);
        }
        let mut transaction = self.begin().await?;
        sqlx::query("INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(name.to_owned())
            .bind(make())
            .execute(&mut *transaction)
            .await?;
        let row = sqlx::query("SELECT value FROM setting WHERE name = $1")
            .bind(name.to_owned())
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(row.try_get(0)?)
    }

    pub async fn setting(&self, name: &str) -> Result<Option<String>> {
        let row = sqlx::query("SELECT value FROM setting WHERE name = $1")
            .bind(name.to_owned())
            .fetch_optional(self.read())
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    pub async fn set_setting(&self, name: &str, value: &str) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(name.to_owned())
        .bind(value.to_owned())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }
}
