# The parent waits for a child that takes its time.
# EXPECT: ok
import subprocess

subprocess.run(["sleep", "3600"], check=True)
