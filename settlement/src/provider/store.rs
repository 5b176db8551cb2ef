//! What the provider remembers: a line of JSON per change, appended, read back at the start.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::rules::{Decision, decide};
use super::wire::{PaymentAnswer, PaymentOrder, Status};

/// The file in the provider's folder.
const FILE_NAME: &str = "payments.jsonl";

/// A payment as the provider knows it; the last line of an id counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Payment {
    payment_id: i64,
    order: PaymentOrder,
    /// The last decision; none when the only request so far failed.
    status: Option<Status>,
    /// Requests about it so far.
    requests: u32,
}

/// Why a request cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The id was used with other content.
    #[error("payment {0} was asked for with other content")]
    Mismatch(i64),
    /// Nobody asked for it.
    #[error("payment {0} is not known")]
    Unknown(i64),
    /// The rules want a failure for this amount.
    #[error("the provider broke down, as it does for this amount")]
    Broken,
    /// The file cannot be written.
    #[error("the provider's file: {0}")]
    File(#[from] std::io::Error),
}

/// The payments and their file.
#[derive(Debug)]
pub struct Store {
    payments: BTreeMap<i64, Payment>,
    file: File,
}

impl Store {
    /// Opens the file in a folder; both are made if they are missing. A last line that a crash cut
    /// off is removed: its request was never answered.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(FILE_NAME);
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let mut payments = BTreeMap::new();
        let mut whole_bytes = 0;
        let mut reader = BufReader::new(&file);
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
            let payment: Payment = serde_json::from_str(&line)?;
            payments.insert(payment.payment_id, payment);
            whole_bytes += line.len() as u64;
            line.clear();
        }
        file.set_len(whole_bytes)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { payments, file })
    }

    /// A payment is asked for, for the first time or again.
    ///
    /// # Errors
    /// When the content is not that of the first time, the rules say so, or the file cannot be written.
    pub fn put(&mut self, payment_id: i64, order: PaymentOrder) -> Result<PaymentAnswer, StoreError> {
        let payment = match self.payments.get(&payment_id) {
            Some(payment) if payment.order == order => payment.clone(),
            Some(_) => return Err(StoreError::Mismatch(payment_id)),
            None => Payment {
                payment_id,
                order,
                status: None,
                requests: 0,
            },
        };
        self.request(payment)
    }

    /// Somebody asks how a payment stands.
    ///
    /// # Errors
    /// When it is not known, the rules say so, or the file cannot be written.
    pub fn get(&mut self, payment_id: i64) -> Result<PaymentAnswer, StoreError> {
        let known = self
            .payments
            .get(&payment_id)
            .filter(|payment| payment.status.is_some());
        let payment = known.cloned().ok_or(StoreError::Unknown(payment_id))?;
        self.request(payment)
    }

    fn request(&mut self, mut payment: Payment) -> Result<PaymentAnswer, StoreError> {
        let answer = |status| PaymentAnswer {
            status,
            reference: format!("SIM-{:019}", payment.payment_id),
        };
        if let Some(status @ (Status::Settled | Status::Failed)) = payment.status {
            return Ok(answer(status));
        }
        let decision = decide(payment.order.amount_cents, payment.requests);
        let answered = match decision {
            Decision::Answer(status) => Ok(answer(status)),
            Decision::Break => Err(StoreError::Broken),
        };
        payment.requests += 1;
        payment.status = answered.as_ref().ok().map(|answer| answer.status);
        self.append(payment)?;
        answered
    }

    /// Written to the file before it is answered: a crash of the process loses nothing that
    /// somebody was told.
    fn append(&mut self, payment: Payment) -> Result<(), StoreError> {
        let mut line = serde_json::to_string(&payment).map_err(std::io::Error::from)?;
        line.push('\n');
        self.file.write_all(line.as_bytes())?;
        self.payments.insert(payment.payment_id, payment);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::provider::wire::Direction;

    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("brokerx-provider-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn order(amount_cents: i64) -> PaymentOrder {
        PaymentOrder {
            direction: Direction::Deposit,
            amount_cents,
            currency: "USD".to_owned(),
        }
    }

    #[test]
    fn the_same_id_is_the_same_payment() {
        let folder = Folder::new("idempotent");
        let mut store = Store::open(&folder.0).unwrap();
        assert_eq!(store.put(1, order(10_000)).unwrap().status, Status::Settled);
        assert_eq!(store.put(1, order(10_000)).unwrap().status, Status::Settled);
        assert!(matches!(store.put(1, order(10_001)), Err(StoreError::Mismatch(1))));
        assert!(matches!(store.get(2), Err(StoreError::Unknown(2))));
    }

    #[test]
    fn a_restart_remembers_and_a_torn_line_is_cut() {
        let folder = Folder::new("restart");
        let mut store = Store::open(&folder.0).unwrap();
        assert!(matches!(store.put(1, order(117)), Err(StoreError::Broken)));
        assert_eq!(store.put(2, order(119)).unwrap().status, Status::Pending);
        drop(store);
        let mut file = OpenOptions::new().append(true).open(folder.0.join(FILE_NAME)).unwrap();
        file.write_all(b"{\"payment_id\":3,").unwrap();
        let mut store = Store::open(&folder.0).unwrap();
        assert!(matches!(store.get(1), Err(StoreError::Unknown(1))));
        assert_eq!(store.put(1, order(117)).unwrap().status, Status::Settled);
        assert_eq!(store.get(2).unwrap().status, Status::Pending);
        drop(store);
        let mut store = Store::open(&folder.0).unwrap();
        assert_eq!(store.get(2).unwrap().status, Status::Settled);
    }
}
