# Two threads take the same two locks in opposite orders.
# EXPECT: deadlock
# EDGE: waiter=withdraw@w1 for=Lock name=accounts_lock holder=deposit@h1
# EDGE: waiter=deposit@w2 for=Lock name=journal_lock holder=withdraw@h2
import threading

accounts_lock = threading.Lock()
journal_lock = threading.Lock()
balance = 100
journal = []
both_begun = threading.Barrier(2)


def withdraw(amount):
    global balance
    with journal_lock:  # @h2
        both_begun.wait()
        journal.append(f"withdraw {amount}")
        with accounts_lock:  # @w1
            balance -= amount


def deposit(amount):
    global balance
    with accounts_lock:  # @h1
        both_begun.wait()
        balance += amount
        with journal_lock:  # @w2
            journal.append(f"deposit {amount}")


threads = [threading.Thread(target=withdraw, args=(30,)), threading.Thread(target=deposit, args=(70,))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("OK")
