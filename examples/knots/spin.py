# No fault to be proven, but the reason why it makes no way: it computes, here.
# EXPECT: busy
# PLACE: poll@w
# WHEN: ready
stop = False


def poll():
    while not stop:  # @w
        pass


print("ready", flush=True)
poll()
