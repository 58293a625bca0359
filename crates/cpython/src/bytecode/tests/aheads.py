# Never run, only compiled: each `here` names the variables whose values may still be read, then the names still used.
def straight(a, b, c):
    a.one()
    here('b c | three two')
    b.two()
    c.three()

def overwritten(a, b):
    here('b | use')
    a = b
    use(a)

def looping(items, seen):
    for item in items:
        here('item seen | add here')
        seen.add(item)

def ended(flag, event):
    if flag:
        event.set()
        return here(' | ')
    here('event | wait')
    event.wait()

def handled(done, event):
    try:
        here('done event | clear put set')
        done.put()
    except KeyError:
        event.clear()
    finally:
        event.set()

def endless(q, event):
    while True:
        item = q.get()
        here('item q | get here')
        here(item)

def nested(cell, flag):
    here('flag | wait')
    if flag.wait:
        return lambda: cell
