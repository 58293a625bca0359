# Worker processes with nothing to do, while the parent sleeps.
# EXPECT: ok
# WHEN: ready
import multiprocessing
import time


def main():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(abs, range(4))
        print("ready", flush=True)
        time.sleep(3600)


if __name__ == "__main__":
    main()
