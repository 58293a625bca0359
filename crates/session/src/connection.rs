//! Connections of agents: each is read by a thread of its own.

use crate::directory::Directory;
use crate::protocol::{Answer, Happened, Hello};
use crate::{ProcessKey, SessionError};
use process::permission::{effective_uid, peer_uid};
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use wire::{HEAD_LEN, Head, Kind};

/// What agents say.
#[derive(Debug)]
pub(crate) enum Incoming {
    New(Connection, Hello),
    Event(ProcessKey, Happened),
    Answer(ProcessKey, u64, Answer),
    Gone(ProcessKey),
}

/// The way to one agent.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    key: Sender<ProcessKey>,
}

impl Connection {
    /// Tells its reader by which key it is known.
    pub fn is_called(&self, key: ProcessKey) {
        let _ = self.key.send(key);
    }

    /// Sends a frame.
    pub fn send(&mut self, kind: Kind, id: u64, thread: u64, body: &[u8]) -> io::Result<()> {
        let head = Head {
            kind,
            len: u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
            id,
            thread,
        };
        let mut frame = Vec::with_capacity(HEAD_LEN + body.len());
        frame.extend_from_slice(&head.encode());
        frame.extend_from_slice(body);
        self.stream.write_all(&frame)
    }
}

impl Drop for Connection {
    /// Ends the connection for its reader too.
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// Accepts agents from now on.
pub(crate) fn listen(directory: &Directory, sender: Sender<Incoming>) -> Result<(), SessionError> {
    let path = directory.socket();
    let listener = UnixListener::bind(&path).map_err(|error| SessionError::Directory {
        path: path.clone(),
        error,
    })?;
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                break;
            };
            if !is_ours(&stream) {
                continue;
            }
            let sender = sender.clone();
            std::thread::spawn(move || serve(stream, &sender));
        }
    });
    Ok(())
}

/// Whether who connects is the same user, or root, or is debugged by root.
fn is_ours(stream: &UnixStream) -> bool {
    let own = effective_uid();
    peer_uid(stream).is_some_and(|peer| own == 0 || peer == own || peer == 0)
}

fn read_frame(stream: &mut UnixStream) -> io::Result<(Head, Vec<u8>)> {
    let mut head = [0; HEAD_LEN];
    stream.read_exact(&mut head)?;
    let head = Head::decode(&head).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut body = Vec::new();
    stream.take(u64::from(head.len)).read_to_end(&mut body)?;
    if body.len() != head.len as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((head, body))
}

fn serve(mut stream: UnixStream, sender: &Sender<Incoming>) {
    let Ok((head, body)) = read_frame(&mut stream) else {
        return;
    };
    let Ok(hello) = serde_json::from_slice::<Hello>(&body) else {
        return;
    };
    let Ok(writer) = stream.try_clone() else {
        return;
    };
    if head.kind != Kind::Hello || hello.wire != wire::VERSION {
        return;
    }
    let (key, called): (Sender<ProcessKey>, Receiver<ProcessKey>) = channel();
    let connection = Connection {
        stream: writer,
        key,
    };
    if sender.send(Incoming::New(connection, hello)).is_err() {
        return;
    }
    let Ok(key) = called.recv() else {
        return;
    };
    while let Ok((head, body)) = read_frame(&mut stream) {
        let said = match head.kind {
            Kind::Event => serde_json::from_slice(&body)
                .ok()
                .map(|happened| Incoming::Event(key, happened)),
            Kind::Answer => Some(Incoming::Answer(
                key,
                head.id,
                serde_json::from_slice(&body).unwrap_or_else(|error| Answer::Failed {
                    text: format!("the agent's answer makes no sense: {error}"),
                }),
            )),
            _ => None,
        };
        let Some(said) = said else {
            break;
        };
        if sender.send(said).is_err() {
            return;
        }
    }
    let _ = sender.send(Incoming::Gone(key));
}
