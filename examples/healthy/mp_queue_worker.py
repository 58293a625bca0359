# A worker process waits for jobs, and the parent for its user.
# EXPECT: ok
import multiprocessing


def work(jobs):
    for job in iter(jobs.get, None):
        print(job)


def main():
    context = multiprocessing.get_context("fork")
    jobs = context.Queue()
    context.Process(target=work, args=(jobs,), daemon=True).start()
    jobs.put("first")
    while True:
        jobs.put(input())


if __name__ == "__main__":
    main()
