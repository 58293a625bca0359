# The parent joins a child that cannot end before somebody takes from the queue what it has put there.
# EXPECT: pipe-deadlock
# PLACE: main@w
import multiprocessing


def work(results):
    results.put("x" * 1000000)


def main():
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=work, args=(results,))
    child.start()
    child.join()  # @w
    print(len(results.get()))


if __name__ == "__main__":
    main()
