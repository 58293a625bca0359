# The main thread waits for jobs of a pool that are at work.
# EXPECT: ok
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

with ThreadPoolExecutor(max_workers=2) as pool:
    jobs = [pool.submit(time.sleep, seconds) for seconds in (0, 3600, 3600, 3600)]
    for job in as_completed(jobs):
        pass
