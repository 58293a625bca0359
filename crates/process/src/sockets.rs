//! The two ends of sockets: `/proc/PID/net` for the internet's, the kernel's sock_diag for Unix ones.

use crate::proc::read_file;
use crate::text;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeVal;
use snapshot::{Connection, SocketState};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// Most sockets of a machine that are looked at.
const SOCKETS_MAX: usize = 1 << 18;
/// Most messages taken of one answer of sock_diag.
const MESSAGES_MAX: usize = 1 << 14;

const TABLES: [(&str, &str); 4] = [
    ("tcp", "tcp"),
    ("tcp6", "tcp6"),
    ("udp", "udp"),
    ("udp6", "udp6"),
];

/// The sockets that were asked for, as far as the kernel told.
pub(crate) struct Sockets {
    connections: HashMap<u64, Connection>,
}

impl Sockets {
    /// Looks the sockets with these inodes up, in the network namespace of process `pid`.
    pub fn read(pid: u32, inodes: &HashSet<u64>) -> Sockets {
        let mut connections = unix_sockets(pid, inodes);
        if connections.len() < inodes.len() {
            connections.extend(internet_sockets(pid, inodes));
        }
        Sockets { connections }
    }

    pub fn connection(&self, inode: u64) -> Option<Connection> {
        self.connections.get(&inode).cloned()
    }
}

/// A line of `/proc/net/tcp` and its like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    local: SocketAddr,
    remote: SocketAddr,
    state: u64,
    send_queue: u32,
    receive_queue: u32,
    inode: u64,
}

fn internet_sockets(pid: u32, inodes: &HashSet<u64>) -> HashMap<u64, Connection> {
    let mut lines: Vec<(&str, Line)> = Vec::new();
    for (file, protocol) in TABLES {
        let path = format!("/proc/{pid}/net/{file}");
        let content = read_file(pid, Path::new(&path)).unwrap_or_default();
        let table = text::lines(&content).skip(1).take(SOCKETS_MAX);
        lines.extend(table.filter_map(parse_line).map(|line| (protocol, line)));
    }
    let kind = |protocol: &str| protocol.starts_with("tcp");
    let ends: HashMap<(bool, SocketAddr, SocketAddr), u64> = lines
        .iter()
        .filter(|(_, line)| line.inode != 0)
        .map(|(protocol, line)| ((kind(protocol), line.local, line.remote), line.inode))
        .collect();
    let asked = lines
        .iter()
        .filter(|(_, line)| inodes.contains(&line.inode));
    let connections = asked.map(|(protocol, line)| {
        let mirrored = (kind(protocol), line.remote, line.local);
        let connected = line.remote.port() != 0;
        let connection = Connection {
            protocol: (*protocol).to_owned(),
            local: line.local.to_string(),
            remote: if connected {
                line.remote.to_string()
            } else {
                String::new()
            },
            peer_inode: ends.get(&mirrored).copied().filter(|_| connected),
            state: internet_state(kind(protocol), connected, line.state),
            receive_queue: Some(line.receive_queue),
            send_queue: Some(line.send_queue),
        };
        (line.inode, connection)
    });
    connections.collect()
}

fn internet_state(tcp: bool, connected: bool, state: u64) -> SocketState {
    match (tcp, state) {
        (_, 1) => SocketState::Established,
        (true, 2 | 3 | 12) => SocketState::Connecting,
        (true, 10) => SocketState::Listening,
        // A fresh socket is closed too, but was never connected.
        (true, 7) if !connected => SocketState::Unconnected,
        (true, _) => SocketState::Closing,
        (false, _) => SocketState::Unconnected,
    }
}

/// `0: 0100007F:1F90 0100007F:A2B4 01 00000000:00000000 00:00000000 00000000 0 0 12345 …`.
pub(crate) fn parse_line(line: &[u8]) -> Option<Line> {
    let mut fields = text::fields(line);
    let local = parse_address(fields.nth(1)?)?;
    let remote = parse_address(fields.next()?)?;
    let state = text::hexadecimal(fields.next()?)?;
    let (send_queue, receive_queue) = text::split(fields.next()?, b':')?;
    let inode = text::decimal(fields.nth(4)?)?;
    Some(Line {
        local,
        remote,
        state,
        send_queue: u32::try_from(text::hexadecimal(send_queue)?).ok()?,
        receive_queue: u32::try_from(text::hexadecimal(receive_queue)?).ok()?,
        inode,
    })
}

/// The address is in words of 32 bits, each printed as the machine's number; the port as it is.
fn parse_address(text: &[u8]) -> Option<SocketAddr> {
    let (address, port) = text::split(text, b':')?;
    let port = u16::try_from(text::hexadecimal(port)?).ok()?;
    let word = |digits: &[u8]| {
        let word = u32::try_from(text::hexadecimal(digits)?).ok()?;
        Some(word.to_ne_bytes())
    };
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(address)?)),
        32 => {
            let mut bytes = [0; 16];
            for (to, digits) in bytes.chunks_exact_mut(4).zip(address.chunks_exact(8)) {
                to.copy_from_slice(&word(digits)?);
            }
            // An IPv4 peer of an IPv6 socket: the other end knows it by its IPv4 address.
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// All Unix sockets among `inodes`. sock_diag tells only of its asker's network namespace: where the
/// target has another one, a thread of our own goes there to ask.
fn unix_sockets(pid: u32, inodes: &HashSet<u64>) -> HashMap<u64, Connection> {
    let space = |who: &str| std::fs::read_link(format!("/proc/{who}/ns/net")).ok();
    let told = if space(&pid.to_string()) == space("self") {
        ask_unix_diag(inodes)
    } else {
        let entered = std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                enter_network(pid)?;
                ask_unix_diag(inodes)
            });
            asking.join()
        });
        entered.ok().flatten()
    };
    told.unwrap_or_else(|| {
        let path = format!("/proc/{pid}/net/unix");
        let content = read_file(pid, Path::new(&path)).unwrap_or_default();
        let table = text::lines(&content).skip(1).take(SOCKETS_MAX);
        table
            .filter_map(parse_unix_line)
            .filter(|(inode, _)| inodes.contains(inode))
            .collect()
    })
}

/// Moves the calling thread into the network namespace of process `pid`, for good.
fn enter_network(pid: u32) -> Option<()> {
    let space = File::open(format!("/proc/{pid}/ns/net")).ok()?;
    // SAFETY: takes two numbers, and changes only the calling thread.
    let result = unsafe { libc::setns(space.as_raw_fd(), libc::CLONE_NEWNET) };
    (result == 0).then_some(())
}

/// `ffff…: 00000002 00000000 00010000 0001 01 23456 /run/x`: what is told without sock_diag.
pub(crate) fn parse_unix_line(line: &[u8]) -> Option<(u64, Connection)> {
    const ACCEPTS: u64 = 0x1_0000;
    let mut rest = line;
    let mut next = || text::field(&mut rest);
    let flags = next().and_then(|_| next()).and_then(|_| next());
    let flags = flags.and_then(|_| next()).and_then(text::hexadecimal)?;
    let state = next().and_then(|_| next()).and_then(text::hexadecimal)?;
    let inode = next().and_then(text::decimal)?;
    let path = rest.trim_ascii_start();
    let connection = Connection {
        protocol: "unix".to_owned(),
        local: String::from_utf8_lossy(path).into_owned(),
        remote: String::new(),
        peer_inode: None,
        state: match state {
            _ if flags & ACCEPTS != 0 => SocketState::Listening,
            2 => SocketState::Connecting,
            3 => SocketState::Established,
            _ => SocketState::Unconnected,
        },
        receive_queue: None,
        send_queue: None,
    };
    Some((inode, connection))
}

// Numbers of netlink(7) and sock_diag(7).
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const UDIAG_SHOW_NAME_PEER_QUEUES: u32 = 0x1 | 0x4 | 0x10;
const UNIX_DIAG_NAME: u16 = 0;
const UNIX_DIAG_PEER: u16 = 2;
const UNIX_DIAG_RQLEN: u16 = 4;
const HEADER_BYTES: usize = 16;
const UNIX_DIAG_MSG_BYTES: usize = 16;

fn ask_unix_diag(inodes: &HashSet<u64>) -> Option<HashMap<u64, Connection>> {
    let diag = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkSockDiag,
    )
    .ok()?;
    setsockopt(&diag, sockopt::ReceiveTimeout, &TimeVal::new(1, 0)).ok()?;
    let mut request = Vec::new();
    request.extend(40_u32.to_ne_bytes());
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    request.extend([0; 8]); // sequence number, port
    request.extend([libc::AF_UNIX as u8, 0, 0, 0]);
    request.extend(u32::MAX.to_ne_bytes()); // sockets in any state
    request.extend(0_u32.to_ne_bytes()); // of any inode
    request.extend(UDIAG_SHOW_NAME_PEER_QUEUES.to_ne_bytes());
    request.extend([0; 8]); // cookie
    send(diag.as_raw_fd(), &request, MsgFlags::empty()).ok()?;
    receive_unix(&diag, inodes)
}

fn receive_unix(diag: &OwnedFd, inodes: &HashSet<u64>) -> Option<HashMap<u64, Connection>> {
    let mut connections = HashMap::new();
    let mut names: HashMap<u64, String> = HashMap::new();
    let mut buffer = vec![0; 64 * 1024];
    for _ in 0..MESSAGES_MAX {
        let count = recv(diag.as_raw_fd(), &mut buffer, MsgFlags::empty()).ok()?;
        let mut rest = buffer.get(..count)?;
        while !rest.is_empty() {
            let (kind, body, behind) = split_message(rest)?;
            rest = behind;
            match kind {
                NLMSG_DONE => {
                    name_peers(&mut connections, &names);
                    return Some(connections);
                }
                NLMSG_ERROR => return None,
                _ => {}
            }
            let Some((inode, connection)) = parse_unix_diag(body) else {
                continue;
            };
            if !connection.local.is_empty() && names.len() < SOCKETS_MAX {
                names.insert(inode, connection.local.clone());
            }
            if inodes.contains(&inode) {
                connections.insert(inode, connection);
            }
        }
    }
    None
}

fn name_peers(connections: &mut HashMap<u64, Connection>, names: &HashMap<u64, String>) {
    for connection in connections.values_mut() {
        let name = connection.peer_inode.and_then(|peer| names.get(&peer));
        connection.remote = name.cloned().unwrap_or_default();
    }
}

fn u16_of(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_of(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The first netlink message: its type, its content, and what follows.
pub(crate) fn split_message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32_of(bytes, 0)? as usize;
    let body = bytes.get(HEADER_BYTES..length)?;
    let next = length.checked_next_multiple_of(4)?;
    Some((
        u16_of(bytes, 4)?,
        body,
        bytes.get(next..).unwrap_or_default(),
    ))
}

/// The attributes of a netlink message: type and content.
fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16_of(rest, 0)?);
        let content = rest.get(4..length)?;
        let kind = u16_of(rest, 2)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, content))
    })
}

pub(crate) fn parse_unix_diag(body: &[u8]) -> Option<(u64, Connection)> {
    let state = *body.get(2)?;
    let inode = u64::from(u32_of(body, 4)?);
    let mut connection = Connection {
        protocol: "unix".to_owned(),
        local: String::new(),
        remote: String::new(),
        peer_inode: None,
        state: match state {
            1 => SocketState::Established,
            2 => SocketState::Connecting,
            10 => SocketState::Listening,
            _ => SocketState::Unconnected,
        },
        receive_queue: None,
        send_queue: None,
    };
    for (kind, content) in attributes(body.get(UNIX_DIAG_MSG_BYTES..)?) {
        match kind {
            UNIX_DIAG_NAME => connection.local = socket_name(content),
            UNIX_DIAG_PEER => {
                let peer = u32_of(content, 0).filter(|&inode| inode != 0);
                connection.peer_inode = peer.map(u64::from);
            }
            UNIX_DIAG_RQLEN => {
                connection.receive_queue = u32_of(content, 0);
                connection.send_queue = u32_of(content, 4);
            }
            _ => {}
        }
    }
    Some((inode, connection))
}

/// A path, or a name in the abstract namespace, which starts with NUL and is written with `@`.
fn socket_name(bytes: &[u8]) -> String {
    let (mark, name) = match bytes.split_first() {
        Some((0, name)) => ("@", name),
        _ => ("", bytes.strip_suffix(b"\0").unwrap_or(bytes)),
    };
    format!("{mark}{}", String::from_utf8_lossy(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internet_lines_are_taken_apart() {
        let text = b"   0: 0100007F:1F90 0200007F:A2B4 01 00000005:00000007 00:00000000 00000000  1000  0 12345 1 x";
        let line = parse_line(text).expect("well-formed");
        if cfg!(target_endian = "little") {
            assert_eq!(line.local.to_string(), "127.0.0.1:8080");
            assert_eq!(line.remote.to_string(), "127.0.0.2:41652");
            let mapped = parse_address(b"0000000000000000FFFF00000100007F:1F90");
            assert_eq!(mapped, Some(line.local));
        }
        assert_eq!(
            (line.send_queue, line.receive_queue, line.inode),
            (5, 7, 12345)
        );
        for text in [
            &b""[..],
            b"0: 1:2 3:4 5",
            b"0: 0100007F:FFFFF 0:0 1 0:0 0 0 0 0 1",
            b"\xff",
        ] {
            assert_eq!(parse_line(text), None);
        }
    }

    #[test]
    fn unix_lines_are_taken_apart() {
        let line = b"ffff8: 00000002 00000000 00010000 0001 01 23456 /run/a b";
        let (inode, connection) = parse_unix_line(line).expect("well-formed");
        assert_eq!((inode, connection.local.as_str()), (23456, "/run/a b"));
        assert_eq!(connection.state, SocketState::Listening);
        assert_eq!(parse_unix_line(b"ffff8: 1 2"), None);
    }

    #[test]
    fn hostile_messages_end() {
        for length in [0_u32, 1, 15, 17, u32::MAX] {
            let mut bytes = length.to_ne_bytes().to_vec();
            bytes.extend([0; 12]);
            assert!(split_message(&bytes).is_none());
        }
        assert_eq!(attributes(&[0; 64]).count(), 0);
        assert_eq!(attributes(&[3, 0, 1, 0]).count(), 0);
        assert_eq!(attributes(&[4, 0, 1, 0, 4, 0, 2, 0, 9]).count(), 2);
        assert!(parse_unix_diag(&[0; 15]).is_none());
        assert_eq!(socket_name(b"\0abc"), "@abc");
        assert_eq!(socket_name(b"/a\0"), "/a");
    }
}
