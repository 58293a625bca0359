# The parent waits for the child's end before it reads; the child waits for somebody to read.
# EXPECT: pipe-deadlock
# PLACE: <module>@w
import subprocess
import sys

child = subprocess.Popen([sys.executable, "-c", "print('x' * 1000000)"], stdout=subprocess.PIPE)
child.wait()  # @w
print(len(child.stdout.read()))
