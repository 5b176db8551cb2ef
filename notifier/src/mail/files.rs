//! The outgoing mails as files. A file is there whole or not at all.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A folder of mails.
#[derive(Clone, Debug)]
pub(super) struct MailFiles {
    folder: PathBuf,
}

/// What became of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It was written.
    New,
    /// The same mail was there already.
    Before,
}

impl MailFiles {
    /// The mails in a folder, which is made when the first is written.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a mail under its id. It survives a crash of the process and of the system once this
    /// returns; a reader of the folder never sees half of it.
    pub(super) fn write(&self, mail_id: i64, text: &[u8]) -> io::Result<Written> {
        let path = self.folder.join(format!("mail-{mail_id}.eml"));
        match fs::read(&path) {
            Ok(there) if there == text => return Ok(Written::Before),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Mails hold links that act for their client: nobody else may read them.
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        // For a moment two instances may hold the same partition: each writes a temporary file of its own, and
        // the mail that they rename it to is the same.
        let temporary = self.folder.join(format!(".mail-{mail_id}.{}.tmp", std::process::id()));
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        File::open(&self.folder)?.sync_all()?;
        Ok(Written::New)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn nobody_else_can_read_a_mail() {
        let folder = tempfile::tempdir().unwrap();
        let mails = folder.path().join("mail");
        MailFiles::new(mails.clone()).write(7, b"one").unwrap();
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(mails.join("mail-7.eml")), 0o600);
        assert_eq!(mode(mails), 0o700);
    }

    #[test]
    fn a_mail_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let files = MailFiles::new(folder.path().join("mail"));
        assert_eq!(files.write(7, b"one").unwrap(), Written::New);
        assert_eq!(files.write(7, b"one").unwrap(), Written::Before);
        assert_eq!(files.write(7, b"two").unwrap(), Written::New);
        let names: Vec<_> = fs::read_dir(folder.path().join("mail"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["mail-7.eml"], "nothing is left over");
        assert_eq!(fs::read(folder.path().join("mail/mail-7.eml")).unwrap(), b"two");
    }
}
