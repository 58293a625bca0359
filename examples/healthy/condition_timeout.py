# Every wait has an end of its own.
# EXPECT: ok
# WHEN: ready
import threading

changed = threading.Condition()


def watch():
    with changed:
        while not changed.wait(timeout=0.05):
            pass


threading.Thread(target=watch, name="watcher", daemon=True).start()
print("ready", flush=True)
with changed:
    changed.wait(timeout=3600)
