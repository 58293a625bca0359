# One thread imports a module whose code takes a lock; the thread that holds this lock imports the same module.
# EXPECT: deadlock
# EDGE: waiter=run_module@w1 for=Lock name=registry_lock holder=reload@h1
# PLACE: reload@w2
import importlib.abc
import importlib.util
import sys
import threading

registry_lock = threading.Lock()
importing, holding = threading.Event(), threading.Event()


def run_module():
    importing.set()
    holding.wait()
    with registry_lock:  # @w1
        pass


class Plugins(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_loader(name, self) if name == "plugin" else None

    def exec_module(self, module):
        run_module()


def reload():
    importing.wait()
    with registry_lock:  # @h1
        holding.set()
        import plugin  # @w2


def use():
    import plugin


sys.meta_path.append(Plugins())
threads = [threading.Thread(target=use, name="use"), threading.Thread(target=reload, name="reload")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("OK")
