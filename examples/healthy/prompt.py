# A program that waits for its user, with a helper thread that waits for it.
# EXPECT: ok
import threading

asked = threading.Event()


def help_out():
    asked.wait()
    print("helping")


threading.Thread(target=help_out, name="helper", daemon=True).start()
while input("> ") != "quit":
    asked.set()
