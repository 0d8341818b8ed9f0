//! What every order has in common: its transaction, the account's lock, and that it is placed once (R26).

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{Any, Transaction};

use super::PurchaseError;
use crate::Store;
use crate::admission::Nonce;
use crate::books::Books;
use crate::repeat::Repeat;
use crate::setting::{Counted, next_counted_id};

/// An order as it is asked for.
pub(super) struct Wish<'a> {
    pub account_id: i64,
    pub key: &'a Option<String>,
    pub nonce: &'a Option<Nonce>,
    /// What it asks for, in words: the same words under the same key are the same order.
    pub content: String,
}

pub(super) enum Begun<T> {
    /// It was placed before; this was its answer.
    Before(T),
    Now(Box<Ordering>),
}

/// An order in its transaction: the account is locked, and it was not placed before.
pub(super) struct Ordering {
    pub transaction: Transaction<'static, Any>,
    pub books: Books,
    pub audit_id: i64,
    pub settlement_id: i64,
    repeat: Repeat,
}

impl Store {
    pub(super) async fn begin_order<T: DeserializeOwned>(
        &self,
        wish: Wish<'_>,
    ) -> Result<Begun<T>, PurchaseError> {
        // Ids are made before the transaction begins: the first of a process joins it, which writes, and SQLite has one
        // writer.
        let (audit_id, settlement_id) = (self.next_id().await?, self.next_id().await?);
        let Wish { account_id, key, nonce, content } = wish;
        let repeat = Repeat { account_id, key: key.clone(), fingerprint: content };
        let mut transaction = self.begin().await?;
        let books = Books::open(self, &mut transaction, account_id).await?;
        let books = books.ok_or(PurchaseError::NoAccount(account_id))?;
        if let Some(receipt) = repeat.answer(&mut transaction).await? {
            return Ok(Begun::Before(receipt));
        }
        if let Some(nonce) = nonce
            && !nonce.keep(&mut transaction, books.now).await?
        {
            return Err(PurchaseError::NonceReplayed);
        }
        Ok(Begun::Now(Box::new(Ordering { transaction, books, audit_id, settlement_id, repeat })))
    }
}

impl Ordering {
    pub(super) async fn order_id(&mut self) -> Result<i64, PurchaseError> {
        Ok(next_counted_id(&mut self.transaction, Counted::Order).await?)
    }

    /// Writes the books, keeps the answer and commits.
    pub(super) async fn finish<T: Serialize>(mut self, receipt: T) -> Result<T, PurchaseError> {
        let now = self.books.now;
        self.books.close(&mut self.transaction).await?;
        self.repeat.keep(&mut self.transaction, &receipt, now).await?;
        self.transaction.commit().await?;
        Ok(receipt)
    }
}
