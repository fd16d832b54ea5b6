//! Image references: which repository, tag and digest a container's image has. Pure.
//!
//! As Falco's fields give them: the repository as the user wrote it, registry included and nothing
//! added; the tag `latest` when a bare name was given. An image that was given by its id has the
//! first name that Docker knows for it. A name with a digest and without a tag has the tag that
//! the same repository gives the image, or none: it is pinned, not `latest`.

use super::super::Image;

/// How an image id begins.
const ID_PREFIX: &str = "sha256:";
/// Fewest digits of a shortened id.
const SHORT_ID_MIN: usize = 6;

/// The names that Docker knows for an image.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Names {
    /// `RepoTags`: `repository:tag`.
    pub(super) tags: Vec<String>,
    /// `RepoDigests`: `repository@sha256:…`.
    pub(super) digests: Vec<String>,
}

/// The image of a container that was made with `reference` and has the image `id`.
pub(super) fn image(reference: &str, id: &str, names: &Names) -> Image {
    let given = if is_id(reference, id) {
        Reference::default()
    } else {
        split(reference)
    };
    let repository = if given.repository.is_empty() {
        names.repository()
    } else {
        given.repository
    };
    let tag = match given {
        Reference { tag: Some(tag), .. } => tag,
        Reference { digest: None, .. } if !given.repository.is_empty() => "latest",
        _ => names.tag(repository).unwrap_or_default(),
    };
    let digest = given
        .digest
        .or_else(|| names.digest(repository))
        .unwrap_or_default();
    Image {
        reference: reference.to_owned(),
        id: id.to_owned(),
        repository: repository.to_owned(),
        tag: tag.to_owned(),
        digest: digest.to_owned(),
    }
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Reference<'a> {
    repository: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

/// `[HOST[:PORT]/]NAME[:TAG][@DIGEST]`. A colon before the last slash is the port's.
fn split(reference: &str) -> Reference<'_> {
    let (name, digest) = match reference.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (reference, None),
    };
    let (repository, tag) = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (name, None),
    };
    Reference {
        repository,
        tag,
        digest,
    }
}

/// Whether an image was given by its id, whole or shortened.
fn is_id(reference: &str, id: &str) -> bool {
    let digits = reference.strip_prefix(ID_PREFIX).unwrap_or(reference);
    reference.starts_with(ID_PREFIX)
        || digits.len() >= SHORT_ID_MIN
            && id
                .strip_prefix(ID_PREFIX)
                .is_some_and(|id| id.starts_with(digits))
}

impl Names {
    fn repository(&self) -> &str {
        let first = self.tags.first().or(self.digests.first());
        first.map(|name| split(name).repository).unwrap_or_default()
    }

    fn tag<'a>(&'a self, repository: &str) -> Option<&'a str> {
        of(&self.tags, repository).find_map(|name| name.tag)
    }

    /// Docker leaves `docker.io/` and `library/` out of the names it keeps.
    fn digest<'a>(&'a self, repository: &str) -> Option<&'a str> {
        of(&self.digests, repository).find_map(|name| name.digest)
    }
}

fn of<'a>(names: &'a [String], repository: &str) -> impl Iterator<Item = Reference<'a>> {
    let repository = familiar(repository);
    names
        .iter()
        .map(|name| split(name))
        .filter(move |name| familiar(name.repository) == repository)
}

fn familiar(repository: &str) -> &str {
    let short = repository.strip_prefix("docker.io/").unwrap_or(repository);
    short.strip_prefix("library/").unwrap_or(short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "sha256:620f2e77595eadeff398ccbd0f292a8ae0d8abbf94740225a2a19a92fb0288fd";
    const DIGEST: &str = "sha256:3fbc632167424a6d997e74f52b878d7cc478225cffac6bc977eedfe51c7f4e79";
    const OTHER: &str = "sha256:aaaa";

    #[test]
    fn references_have_falcos_repository_and_tag() {
        let names = Names {
            tags: vec!["busybox:1".into(), "r.example:5000/team/app:v2".into()],
            digests: vec![
                format!("r.example:5000/team/app@{OTHER}"),
                format!("busybox@{DIGEST}"),
            ],
        };
        let pinned = format!("busybox@{DIGEST}");
        let elsewhere = format!("r.example:5000/team/app@{DIGEST}");
        let stranger = format!("unknown/app@{DIGEST}");
        let both = format!("r.example/app:3@{DIGEST}");
        for (reference, repository, tag, digest) in [
            ("busybox:1", "busybox", "1", DIGEST),
            ("busybox", "busybox", "latest", DIGEST),
            (
                "docker.io/library/busybox",
                "docker.io/library/busybox",
                "latest",
                DIGEST,
            ),
            ("docker.io/busybox:1", "docker.io/busybox", "1", DIGEST),
            (
                "r.example:5000/team/app",
                "r.example:5000/team/app",
                "latest",
                OTHER,
            ),
            (
                "r.example:5000/team/app:v2",
                "r.example:5000/team/app",
                "v2",
                OTHER,
            ),
            ("localhost/app:dev", "localhost/app", "dev", ""),
            (&pinned, "busybox", "1", DIGEST),
            (&elsewhere, "r.example:5000/team/app", "v2", DIGEST),
            (&stranger, "unknown/app", "", DIGEST),
            (&both, "r.example/app", "3", DIGEST),
            (ID, "busybox", "1", DIGEST),
            ("620f2e77595e", "busybox", "1", DIGEST),
            ("620f", "620f", "latest", ""),
        ] {
            let image = image(reference, ID, &names);
            let found = (&*image.repository, &*image.tag, &*image.digest);
            assert_eq!(found, (repository, tag, digest), "{reference}");
            assert_eq!((&*image.reference, &*image.id), (reference, ID));
        }
    }

    #[test]
    fn an_image_without_any_name_has_none() {
        let image = image(ID, ID, &Names::default());
        assert_eq!(
            (&*image.repository, &*image.tag, &*image.digest),
            ("", "", "")
        );
    }

    proptest! {
        #[test]
        fn no_reference_panics_and_nothing_is_made_up(reference: String) {
            let found = split(&reference);
            prop_assert!(reference.starts_with(found.repository));
            let _ = image(&reference, &reference, &Names::default());
        }
    }
}
