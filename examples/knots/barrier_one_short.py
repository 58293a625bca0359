# Two threads come to a barrier for three.
# EXPECT: no-waker
# PLACE: phase@w
import threading

barrier = threading.Barrier(3)


def phase():
    barrier.wait()  # @w


threads = [threading.Thread(target=phase, name=f"phase-{number}") for number in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("OK")
