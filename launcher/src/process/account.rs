//! The account of the operating system that a child runs as.

use nix::unistd::{User, geteuid};

use crate::failure::{Missing, Remedy};

/// An account of the operating system to run a child as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// The account that PostgreSQL runs as when root starts it; none for anybody else.
///
/// # Errors
/// When there is no such account.
pub fn unprivileged_account() -> std::result::Result<Option<Account>, Missing> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .map(|user| {
            Some(Account {
                uid: user.uid.as_raw(),
                gid: user.gid.as_raw(),
            })
        })
        .ok_or_else(|| Missing {
            what: "an account `postgres` or `nobody`".to_owned(),
            found: "as PostgreSQL refuses to run as root, but there is neither".to_owned(),
            remedy: Remedy::Command("useradd --system postgres".to_owned()),
        })
}
