//! From what is written to what it means: defaults, relative paths, and whatever one key demands of another.

use super::alert;
use super::algorithm;
use super::alone;
use super::fuse;
use super::interface::Interface;
use super::kerberos;
use super::mirror;
use super::raw;
use super::share::{self, Groups};
use super::value::{Listen, Span};
use super::*;
use smb_wire::Sid;
use std::ops::Range;
use toml::Spanned;

/// Longest `[smb] server_name`, characters (a NetBIOS name).
const SERVER_NAME_MAX: usize = 15;

/// The file being settled, for complaints.
pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    pub(super) fn wrong<T>(&self, span: Range<usize>, message: impl Into<String>) -> Result<T, ConfigError> {
        Err(ConfigError::at(self.file, self.text, span, message))
    }
}

/// A path in the configuration is relative to the directory of the file.
pub(super) fn beside(file: &Path, path: &Path) -> PathBuf {
    let joined = file.parent().unwrap_or(Path::new("")).join(path);
    std::path::absolute(&joined).unwrap_or(joined)
}

pub(super) fn settle(file: &Path, text: &str, raw: raw::File) -> Result<Config, ConfigError> {
    let source = Source { file, text };
    let link = raw.link.map(|link| settle_link(&source, &raw.node.name, link)).transpose()?;
    if raw.volume.is_empty() {
        return Err(ConfigError::whole(file, "no volume; add [volume.NAME] with origin = \"file:///DIR\""));
    }
    let mut volumes = Vec::with_capacity(raw.volume.len());
    for (name, volume) in raw.volume {
        volumes.push(settle_volume(&source, &raw.node.name, link.as_ref(), name, volume)?);
    }
    let groups = share::groups(&source, raw.groups)?;
    let smb = raw.smb.map(|smb| settle_smb(&source, &volumes, &groups, smb)).transpose()?;
    let admin = raw.admin.map(|admin| settle_admin(&source, admin)).transpose()?.unwrap_or_default();
    let state = beside(file, &raw.node.state);
    alone::mark(&mut volumes, &state);
    if let Some(volume) = volumes.iter().find(|volume| volume.user_quotas && !volume.alone) {
        let name = &volume.name;
        let message = format!(
            "quotas of [volume.{name}]: another volume, a cache or the node's state lies in its tree, or it in theirs, and \
             what goes there does not count; give it a tree of its own, or take `quota` out"
        );
        return Err(ConfigError::whole(file, message));
    }
    let mounts = fuse::settle(&source, &mut volumes, &state, raw.fuse)?;
    let alerts = raw.alerts.map(|alerts| alert::settle(&source, alerts)).transpose()?;
    Ok(Config { name: raw.node.name, state, link, volumes, smb, mounts, admin, alerts })
}

fn settle_link(
    source: &Source<'_>,
    own: &NodeName,
    link: Spanned<raw::Link>,
) -> Result<LinkSettings, ConfigError> {
    let span = link.span();
    let link = link.into_inner();
    if link.listen.is_none() && link.dial.is_empty() {
        let mend = "write listen = \"0.0.0.0:7440\" or dial = [\"NAME=HOST:7440\"]";
        return source.wrong(span, format!("this link neither listens nor dials; {mend}"));
    }
    let mut dial: Vec<Dial> = Vec::with_capacity(link.dial.len());
    for entry in link.dial {
        let span = entry.span();
        let entry = entry.into_inner();
        if entry.peer == *own {
            return source.wrong(span, format!("{} is this node itself; name the other one", own.0));
        }
        if dial.iter().any(|earlier| earlier.peer == entry.peer) {
            return source.wrong(span, format!("{} is dialed twice; one address each", entry.peer.0));
        }
        dial.push(entry);
    }
    let connections = match link.connections {
        Some(many) if *many.get_ref() > ::link::MAX_BULK_CONNECTIONS || *many.get_ref() == 0 => {
            let limit = ::link::MAX_BULK_CONNECTIONS;
            return source.wrong(
                many.span(),
                format!("1 to {limit} connections; leave it out to let the link decide"),
            );
        }
        Some(some) => some.into_inner(),
        None => 0,
    };
    let certs = beside(source.file, &link.certs);
    let listen = link.listen.map(|listen| listen.0);
    Ok(LinkSettings { listen, dial, certs, connections, bbr: link.bbr.unwrap_or(true) })
}

fn settle_volume(
    source: &Source<'_>,
    own: &NodeName,
    link: Option<&LinkSettings>,
    name: Spanned<String>,
    raw: raw::Volume,
) -> Result<VolumeSettings, ConfigError> {
    if !is_volume_name(name.get_ref()) {
        let mend = "take 1 to 63 letters, digits, '.', '_' or '-', not beginning with a dot";
        return source.wrong(name.span(), format!("{:?} is not a volume's name; {mend}", name.get_ref()));
    }
    let name = name.into_inner();
    if let Origin::Peer { peer, .. } = raw.origin.get_ref() {
        let span = raw.origin.span();
        let Some(link) = link else {
            return source.wrong(span, "a peer:// origin needs a [link] section");
        };
        if peer == own {
            return source.wrong(span, format!("{} is this node itself; a peer is another node", own.0));
        }
        if link.listen.is_none() && !link.dial.iter().any(|dial| dial.peer == *peer) {
            let mend = format!("add \"{}=HOST:7440\" to dial in [link]", peer.0);
            return source.wrong(span, format!("nothing leads to {}: {mend}, or listen there", peer.0));
        }
    }
    let login = settle_login(source, &raw)?;
    let watch = match raw.watch {
        Some(watch) if !matches!(raw.origin.get_ref(), Origin::Smb { .. }) => {
            return source.wrong(watch.span(), "watch is for smb:// origins; take it out");
        }
        watch => watch.map(Spanned::into_inner).unwrap_or_default(),
    };
    let sync_changes = match raw.sync_changes {
        Some(sync) if !matches!(raw.origin.get_ref(), Origin::File { .. }) => {
            return source.wrong(sync.span(), "sync_changes is for file:// origins; take it out");
        }
        sync => sync.is_some_and(Spanned::into_inner),
    };
    let user_quotas = match raw.quota {
        Some(quota) if !matches!(raw.origin.get_ref(), Origin::File { .. }) => {
            let message = "quotas of users are kept at file:// origins, and told from there; take it out";
            return source.wrong(quota.span(), message);
        }
        quota => quota.is_some_and(|quota| quota.into_inner().users),
    };
    let mut allow = Vec::with_capacity(raw.allow.len());
    for peer in raw.allow {
        if link.is_none() {
            return source.wrong(peer.span(), "allow needs a [link] section for peers to come in by");
        }
        if let Origin::Peer { peer: from, .. } = raw.origin.get_ref() {
            let mend = format!("let {} offer it, and {} dial there", from.0, peer.get_ref().0);
            let message = format!("a volume of another node cannot be offered on in this version; {mend}");
            return source.wrong(peer.span(), message);
        }
        if peer.get_ref() == own {
            return source.wrong(peer.span(), format!("{} is this node itself; allow names others", own.0));
        }
        allow.push(peer.into_inner());
    }
    let cache = raw.cache.map(|cache| settle_cache(source, &name, cache)).transpose()?.flatten();
    let origin = raw.origin.into_inner();
    let mirrors = mirror::settle(source, link.is_some(), &origin, raw.mirror_log, raw.mirror)?;
    Ok(VolumeSettings {
        name,
        origin,
        login,
        watch,
        sync_changes,
        user_quotas,
        alone: false,
        mounted: false,
        allow,
        cache,
        mirrors,
    })
}

fn settle_login(source: &Source<'_>, raw: &raw::Volume) -> Result<Option<Login>, ConfigError> {
    let is_smb = matches!(raw.origin.get_ref(), Origin::Smb { .. });
    let given = [raw.user.as_ref(), raw.domain.as_ref()].into_iter().flatten().map(Spanned::span);
    let given = given.chain(raw.password.as_ref().map(Spanned::span)).next();
    match (is_smb, given, &raw.user, &raw.password) {
        (false, None, ..) => Ok(None),
        (false, Some(span), ..) => {
            let scheme = raw.origin.get_ref().scheme();
            source.wrong(span, format!("a {scheme}:// origin takes no user, domain or password; take it out"))
        }
        (true, _, Some(user), Some(password)) => {
            let file = SecretFile(beside(source.file, &password.get_ref().0));
            if let Err(why) = file.read() {
                return source.wrong(password.span(), why);
            }
            let domain = raw.domain.as_ref().map(|domain| domain.get_ref().clone()).unwrap_or_default();
            Ok(Some(Login { user: user.get_ref().clone(), domain, password: file }))
        }
        (true, ..) => {
            let mend = "add user = \"NAME\" and password = { file = \"/path/of/it\" }";
            source.wrong(raw.origin.span(), format!("an smb:// origin needs a login; {mend}"))
        }
    }
}

fn settle_cache(
    source: &Source<'_>,
    volume: &str,
    raw: raw::Cache,
) -> Result<Option<CacheSettings>, ConfigError> {
    match raw.write.map(|write| (write.span(), write.into_inner())) {
        Some((span, raw::Write::Back)) => {
            let mend = "write \"through\": a write is acknowledged when the origin has it";
            return source
                .wrong(span, format!("write = \"back\" is not in this version of farshare; {mend}"));
        }
        Some((_, raw::Write::Off)) => return Ok(None),
        Some((_, raw::Write::Through)) | None => {}
    }
    let directory = beside(source.file, &raw.path).join(volume);
    let mut cache = CacheSettings::new(directory, CACHE_SIZE_DEFAULT);
    if let Some(size) = raw.size {
        if size.get_ref().0 < CACHE_SIZE_MIN.0 {
            return source.wrong(size.span(), format!("a cache needs at least {CACHE_SIZE_MIN}"));
        }
        cache.size = size.into_inner();
    }
    let time = |value: Option<Spanned<Span>>, default: Duration| match value {
        Some(value) if value.get_ref().0.is_zero() => {
            source.wrong(value.span(), "a time of zero; write for example \"2s\"")
        }
        Some(value) => Ok(value.into_inner().0),
        None => Ok(default),
    };
    cache.poll = time(raw.poll, cache.poll)?;
    cache.patience = time(raw.patience, cache.patience)?;
    cache.read_ahead = raw.read_ahead.unwrap_or(cache.read_ahead);
    Ok(Some(cache))
}

fn settle_smb(
    source: &Source<'_>,
    volumes: &[VolumeSettings],
    groups: &Groups,
    raw: Spanned<raw::Smb>,
) -> Result<SmbSettings, ConfigError> {
    let span = raw.span();
    let raw = raw.into_inner();
    if raw.share.is_empty() {
        let mend = "add [smb.share.NAME] with volume = \"NAME\"";
        return source.wrong(span, format!("[smb] without a share serves nothing; {mend}"));
    }
    let everywhere = || Listen(vec![SocketAddr::from(([0, 0, 0, 0], 445))]);
    let mut smb = SmbSettings::new(raw.listen.unwrap_or_else(everywhere).0);
    if let Some(name) = raw.server_name {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let text = name.get_ref();
        if text.is_empty() || text.len() > SERVER_NAME_MAX || !text.chars().all(fits) {
            let mend = format!("take 1 to {SERVER_NAME_MAX} letters, digits or '-'");
            return source.wrong(name.span(), format!("{text:?} is not a server's name; {mend}"));
        }
        smb.server_name = name.into_inner();
    }
    smb.signing = raw.signing.unwrap_or(smb.signing);
    smb.encryption = raw.encryption.unwrap_or(smb.encryption);
    let instead = "take \"aes-cmac\"";
    smb.signing_algorithms =
        algorithm::settle(source, raw.signing_algorithms, smb.signing_algorithms, instead)?;
    let instead = "take \"aes-128-gcm\"; encryption = \"accepted\" leaves it to clients";
    smb.ciphers = algorithm::settle(source, raw.ciphers, smb.ciphers, instead)?;
    smb.min_dialect = raw.min_dialect.unwrap_or(smb.min_dialect);
    if let Some(max) = raw.max_dialect {
        if *max.get_ref() < smb.min_dialect {
            return source.wrong(max.span(), "max_dialect is below min_dialect; no client could connect");
        }
        smb.max_dialect = max.into_inner();
    }
    smb.multichannel = raw.multichannel.unwrap_or(smb.multichannel);
    smb.interfaces = settle_interfaces(source, smb.multichannel, raw.interfaces)?;
    smb.compression = match raw.compression {
        Some(wanted) if *wanted.get_ref() && smb.max_dialect < Dialect::Smb311 => {
            let why = "compression begins with 3.1.1, which max_dialect excludes; leave one of them out";
            return source.wrong(wanted.span(), why);
        }
        wanted => wanted.is_some_and(Spanned::into_inner),
    };
    smb.quic = raw.quic.map(|quic| settle_quic(source, smb.max_dialect, quic)).transpose()?;
    if let Some(discovery) = raw.discovery {
        (smb.mdns, smb.ws_discovery) = (discovery.mdns, discovery.ws);
    }
    smb.sid = raw.sid.map(|sid| settle_sid(source, &sid)).transpose()?;
    smb.administrators = share::members(groups, share::sids(source, raw.administrators)?);
    smb.groups = groups
        .iter()
        .map(|(name, members)| front_smb::Group { name: name.clone(), members: members.clone() })
        .collect();
    smb.protocol_tests = raw.protocol_tests;
    smb.ntlm = kerberos::ntlm(source, raw.kerberos.as_ref(), raw.ntlm)?;
    smb.shares = share::settle(source, volumes, groups, &smb, raw.share)?;
    smb.kerberos = raw.kerberos.map(|kerberos| kerberos::settle(source, kerberos)).transpose()?;
    smb.anonymous = kerberos::anonymous(source, &smb, raw.anonymous)?;
    Ok(smb)
}

/// A domain of users: `S-1-5-21-a-b-c`.
fn settle_sid(source: &Source<'_>, text: &Spanned<String>) -> Result<Sid, ConfigError> {
    const NT_AUTHORITY: u64 = 5;
    const NON_UNIQUE: u32 = 21;
    let sid: Option<Sid> = text.get_ref().parse().ok();
    let is_domain =
        |sid: &Sid| sid.authority() == NT_AUTHORITY && matches!(sid.sub_authorities(), [NON_UNIQUE, _, _, _]);
    match sid.filter(is_domain) {
        Some(sid) => Ok(sid),
        None => {
            let mend = "take S-1-5-21 and three numbers below 4294967296, as in \"S-1-5-21-1-2-3\"";
            source.wrong(text.span(), format!("{:?} is not the SID of a domain; {mend}", text.get_ref()))
        }
    }
}

fn settle_quic(
    source: &Source<'_>,
    max_dialect: Dialect,
    raw: Spanned<raw::Quic>,
) -> Result<QuicSettings, ConfigError> {
    if max_dialect < Dialect::Smb311 {
        let mend = "leave max_dialect out, or take out this section";
        return source.wrong(raw.span(), format!("QUIC carries 3.1.1 and nothing older; {mend}"));
    }
    let raw = raw.into_inner();
    let everywhere = || Listen(vec![SocketAddr::from(([0, 0, 0, 0], 443))]);
    let quic = QuicSettings {
        listen: raw.listen.unwrap_or_else(everywhere).0,
        certificate: beside(source.file, raw.certificate.get_ref()),
        key: beside(source.file, raw.key.get_ref()),
    };
    if let Err(why) = read_secret(&quic.key) {
        return source.wrong(raw.key.span(), why);
    }
    match quic.load() {
        Ok(_) => Ok(quic),
        Err(why) => source.wrong(raw.certificate.span(), why),
    }
}

fn settle_interfaces(
    source: &Source<'_>,
    multichannel: bool,
    raw: Option<Spanned<Vec<Interface>>>,
) -> Result<Option<Vec<front_smb::InterfaceChoice>>, ConfigError> {
    match raw {
        Some(list) if !multichannel => source
            .wrong(list.span(), "clients are told of interfaces for multichannel, which is off; take it out"),
        Some(list) if list.get_ref().is_empty() => {
            source.wrong(list.span(), "no client could open a further channel; write multichannel = false")
        }
        list => Ok(list.map(|list| list.into_inner().into_iter().map(|interface| interface.0).collect())),
    }
}

fn settle_admin(source: &Source<'_>, raw: raw::Admin) -> Result<AdminSettings, ConfigError> {
    let mut token = None;
    if let Some(secret) = raw.token {
        let file = SecretFile(beside(source.file, &secret.get_ref().0));
        if let Err(why) = file.read() {
            return source.wrong(secret.span(), why);
        }
        token = Some(file);
    }
    let listen = match raw.listen {
        Some(listen) if token.is_none() && !listen.get_ref().0.ip().is_loopback() => {
            let mend = "write 127.0.0.1, or add token = { file = \"/path/of/it\" }";
            return source.wrong(listen.span(), format!("others could reach this address; {mend}"));
        }
        Some(listen) => Some(listen.into_inner().0),
        None => None,
    };
    Ok(AdminSettings { listen, token })
}
