# The parent reads what a slow child will print.
# EXPECT: ok
import subprocess
import sys

SLOW = "import time; print('begun', flush=True); time.sleep(3600)"
with subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE) as child:
    for line in child.stdout:
        pass
