# A user at a terminal: runs a command in one of its own, waits until it shows certain words, and types.
# Arguments: WORDS KEYS WORDS KEYS … -- COMMAND. In KEYS, ^C, ^\ and ^D are the keys. Prints all that the terminal showed,
# then `exit code: N`.
import os
import pty
import sys

end = sys.argv.index("--")
script = [
    (words.encode(), keys.replace("^C", "\x03").replace("^\\", "\x1c").replace("^D", "\x04").encode())
    for words, keys in zip(sys.argv[1:end:2], sys.argv[2:end:2])
]
command = sys.argv[end + 1 :]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
shown, seen = b"", 0
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:  # the other side has been closed
        break
    if not piece:
        break
    shown += piece
    while script and script[0][0] in shown[seen:]:
        words, keys = script.pop(0)
        seen = shown.index(words, seen) + len(words)
        os.write(terminal, keys)
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown.replace(b"\r\n", b"\n"))
code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
print("\nexit code:", code)
for words, _ in script:
    print("never shown:", words.decode())
