/* Decisions as small verified programs: whole numbers are compared here, everything else is asked of Python.

   A Program is the code of a rule list, shared by all rule lists of that shape. It is verified once, when it is made:
   every operand lies within its bounds, every jump goes forward, and what changes state comes last. A Decision binds a
   Program to constants, to the containers of the policy's objects and to the plain decision function beside it. It is
   called like that function and answers what it would answer: as soon as anything is unusual (no exact int or bool, more
   than 64 bits, an overflow, another number of arguments), nothing has been changed yet, and the plain function decides.

   Invariant: nothing is written before every test has granted; from the first write on, no step leads to the plain
   function. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <structmember.h>

#define MAX_ARGUMENTS 32
#define MAX_TEMPORARIES 32
#define MAX_CONSTANTS 1024
#define MAX_OBJECTS 64
#define MAX_STEPS 4096
#define MAX_REASON 1024

#define GRANTED_AT (-1) /* A target below zero is an end; its reason is -1 - target. */
#define BY_DEFAULT (-1)
#define BY_ERROR (-2)

enum {
    LESS, AT_MOST, EQUAL, UNEQUAL, MORE, AT_LEAST, /* slots[left] beside slots or constants[right] */
    ADD, SUBTRACT, MULTIPLY, AND, OR,              /* the same, into slots[into] */
    LOAD,                                          /* constants[right] into slots[into] */
    AMONG,                                         /* whether argument left is in the set objects[object] */
    IN_STATE,   /* whether objects[object][argument left] is in the set objects[into] */
    WITHIN,     /* whether level objects[object][argument left] is within level objects[into][argument right] */
    TAKE,       /* the cell rate algorithm: arrivals objects[object] of argument left, the time objects[object + 1],
                   cost and tolerance constants[right] and [right + 1]; the next arrival into slots[into] */
    PUT_NUMBER, /* objects[object][argument left] = slots[into] */
    PUT_OBJECT, /* objects[object][argument left] = objects[into] */
    OPERATIONS
};

enum { ANY_KIND, DICTIONARY, SET };

typedef struct {
    uint8_t operation, constant;
    uint16_t left, right, into, object;
    int16_t yes, no;
} Step;

typedef struct {
    PyObject_VAR_HEAD
    uint8_t arguments, temporaries, objects, used_count;
    uint16_t constants;
    int16_t start;
    uint8_t used[MAX_ARGUMENTS]; /* the arguments that must be whole numbers */
    uint8_t kinds[MAX_OBJECTS];
    Step steps[1];
} Program;

typedef struct {
    PyObject_VAR_HEAD
    vectorcallfunc vectorcall;
    Program *program;
    PyObject *plain;
    PyObject *objects; /* a tuple; NULL where the program asks none */
    int64_t constants[1];
} Decision;

typedef struct {
    PyTypeObject *program_type, *decision_type;
    PyObject *at_ns;
} State;

/* ---- whole numbers ---------------------------------------------------------------------------------------------- */

/* 1 and the value, or 0 if it is none of ours; no error is left behind. */
static inline int
whole(PyObject *given, int64_t *value)
{
    if (PyLong_CheckExact(given)) {
#if PY_VERSION_HEX >= 0x030C0000 /* small ones are read without a call */
        if (PyUnstable_Long_IsCompact((PyLongObject *)given)) {
            *value = PyUnstable_Long_CompactValue((PyLongObject *)given);
            return 1;
        }
#else
        if (Py_SIZE(given) == 1) {
            *value = ((PyLongObject *)given)->ob_digit[0];
            return 1;
        }
#endif
        int beyond = 0;
        *value = PyLong_AsLongLongAndOverflow(given, &beyond);
        return !beyond; /* of an exact int there is no other failure */
    }
    if (given == Py_True || given == Py_False) {
        *value = given == Py_True;
        return 1;
    }
    return 0;
}

static inline int
add(int64_t a, int64_t b, int64_t *sum)
{
    if (b >= 0 ? a > INT64_MAX - b : a < INT64_MIN - b) {
        return 0;
    }
    *sum = a + b;
    return 1;
}

static inline int
subtract(int64_t a, int64_t b, int64_t *difference)
{
    if (b >= 0 ? a < INT64_MIN + b : a > INT64_MAX + b) {
        return 0;
    }
    *difference = a - b;
    return 1;
}

static inline int
multiply(int64_t a, int64_t b, int64_t *product)
{
    if (a > 0 ? (b > 0 ? a > INT64_MAX / b : b < INT64_MIN / a)
              : (b > 0 ? a < INT64_MIN / b : a != 0 && b < INT64_MAX / a)) {
        return 0;
    }
    *product = a * b;
    return 1;
}

/* ---- what the objects hold; 1 yes, 0 no, -1 unusual ---------------------------------------------------------------- */

/* A new reference to dictionary[key]; NULL with `*unusual` set on an error, else if there is none. */
static inline PyObject *
look_up(PyObject *dictionary, PyObject *key, int *unusual)
{
    PyObject *found = PyDict_GetItemWithError(dictionary, key);
    if (found == NULL && PyErr_Occurred()) {
        PyErr_Clear();
        *unusual = 1;
    }
    return Py_XNewRef(found);
}

static int
among(PyObject *set, PyObject *member)
{
    int found = PySet_Contains(set, member);
    if (found < 0) {
        PyErr_Clear();
    }
    return found;
}

static int
in_state(PyObject *states, PyObject *subject, PyObject *allowed)
{
    int unusual = 0;
    PyObject *state = look_up(states, subject, &unusual);
    if (state == NULL) {
        return unusual ? -1 : 0;
    }
    int found = among(allowed, state);
    Py_DECREF(state);
    return found;
}

static int
level(PyObject *levels, PyObject *subject, int64_t *degree, int64_t *categories)
{
    int unusual = 0;
    PyObject *found = look_up(levels, subject, &unusual);
    if (found == NULL) {
        return unusual ? -1 : 0;
    }
    int read = PyTuple_Check(found) && PyTuple_GET_SIZE(found) == 2 && whole(PyTuple_GET_ITEM(found, 0), degree) &&
               whole(PyTuple_GET_ITEM(found, 1), categories);
    Py_DECREF(found);
    return read ? 1 : -1;
}

static int
within(PyObject *lower_levels, PyObject *lower, PyObject *upper_levels, PyObject *upper)
{
    int64_t degree, categories, upper_degree, upper_categories;
    int known = level(lower_levels, lower, &degree, &categories);
    if (known == 1) {
        known = level(upper_levels, upper, &upper_degree, &upper_categories);
    }
    return known == 1 ? degree <= upper_degree && !(categories & ~upper_categories) : known;
}

static int
read_and_drop(PyObject *number, int64_t *value)
{
    if (number == NULL) {
        PyErr_Clear();
        return 0;
    }
    int read = whole(number, value);
    Py_DECREF(number);
    return read;
}

static int
take(PyObject *arrivals, PyObject *subject, PyObject *now, const int64_t *constants, int64_t *after)
{
    int unusual = 0;
    int64_t arrival_ns, now_ns, latest_ns;
    /* A new subject may need room to be made for it: that is left to the plain function. */
    if (!read_and_drop(look_up(arrivals, subject, &unusual), &arrival_ns) || !read_and_drop(now, &now_ns)) {
        return -1;
    }
    if (!add(arrival_ns > now_ns ? arrival_ns : now_ns, constants[0], after) ||
        !add(now_ns, constants[1], &latest_ns)) {
        return -1;
    }
    return *after <= latest_ns;
}

static int
put(PyObject *dictionary, PyObject *key, PyObject *value)
{
    int failed = value == NULL || PyDict_SetItem(dictionary, key, value) < 0;
    if (failed) {
        PyErr_Clear();
    }
    return !failed;
}

static int
put_number(PyObject *dictionary, PyObject *key, int64_t number)
{
    PyObject *value = PyLong_FromLongLong(number);
    int done = put(dictionary, key, value);
    Py_XDECREF(value);
    return done;
}

/* ---- deciding ----------------------------------------------------------------------------------------------------- */

static PyObject *
ask_plain(Decision *self, PyObject *const *arguments, size_t count, PyObject *names)
{
    if (self->plain == NULL) { /* only after the collector has cleared it */
        return PyLong_FromLong(BY_ERROR);
    }
    /* The plain function outlives its own call, whatever it does to who holds this decision. */
    PyObject *plain = Py_NewRef(self->plain);
    PyObject *answer = PyObject_Vectorcall(plain, arguments, count, names);
    Py_DECREF(plain);
    return answer;
}

#define OBJECT(position) PyTuple_GET_ITEM(self->objects, position)

/* What needs objects; -1 is unusual. */
static int
step_on_objects(Decision *self, const Step *step, PyObject *const *arguments, int64_t *slots)
{
    PyObject *object = OBJECT(step->object), *left = arguments[step->left];
    switch (step->operation) {
    case AMONG:
        return among(object, left);
    case IN_STATE:
        return in_state(object, left, OBJECT(step->into));
    case WITHIN:
        return within(object, left, OBJECT(step->into), arguments[step->right]);
    default: { /* TAKE */
        State *state = PyType_GetModuleState(Py_TYPE(self));
        PyObject *now = PyObject_GetAttr(OBJECT(step->object + 1), state->at_ns);
        return take(object, left, now, &self->constants[step->right], &slots[step->into]);
    }
    }
}

static PyObject *
decide(PyObject *callable, PyObject *const *arguments, size_t count, PyObject *names)
{
    Decision *self = (Decision *)callable;
    const Program *program = self->program;
    if (names != NULL || program == NULL || PyVectorcall_NARGS(count) != program->arguments) {
        return ask_plain(self, arguments, count, names);
    }
    int64_t slots[MAX_ARGUMENTS + MAX_TEMPORARIES];
    for (int position = 0; position < program->used_count; position++) {
        int argument = program->used[position];
        if (!whole(arguments[argument], &slots[argument])) {
            return ask_plain(self, arguments, count, names);
        }
    }
    for (int position = 0; position < program->temporaries; position++) {
        slots[program->arguments + position] = 0;
    }
    int at = program->start;
    while (at >= 0) {
        const Step *step = &program->steps[at];
        const int64_t left = slots[step->left];
        const int64_t right = (step->constant ? self->constants : slots)[step->right];
        int found = 1;
        switch (step->operation) {
        case LESS:
            found = left < right;
            break;
        case AT_MOST:
            found = left <= right;
            break;
        case EQUAL:
            found = left == right;
            break;
        case UNEQUAL:
            found = left != right;
            break;
        case MORE:
            found = left > right;
            break;
        case AT_LEAST:
            found = left >= right;
            break;
        case ADD:
            found = add(left, right, &slots[step->into]) ? 1 : -1;
            break;
        case SUBTRACT:
            found = subtract(left, right, &slots[step->into]) ? 1 : -1;
            break;
        case MULTIPLY:
            found = multiply(left, right, &slots[step->into]) ? 1 : -1;
            break;
        case AND:
            slots[step->into] = left & right;
            break;
        case OR:
            slots[step->into] = left | right;
            break;
        case LOAD:
            slots[step->into] = right;
            break;
        case PUT_NUMBER:
            if (!put_number(OBJECT(step->object), arguments[step->left], slots[step->into])) {
                return PyLong_FromLong(BY_ERROR);
            }
            break;
        case PUT_OBJECT:
            if (!put(OBJECT(step->object), arguments[step->left], OBJECT(step->into))) {
                return PyLong_FromLong(BY_ERROR);
            }
            break;
        default:
            found = step_on_objects(self, step, arguments, slots);
        }
        if (found < 0) {
            return ask_plain(self, arguments, count, names);
        }
        at = found ? step->yes : step->no;
    }
    return PyLong_FromLong(-1 - at);
}

/* ---- programs ------------------------------------------------------------------------------------------------------- */

static int
target_fits(const Program *program, Py_ssize_t from, int target)
{
    return target < 0 ? target >= -1 - MAX_REASON : target > from && target < Py_SIZE(program);
}

static int
wants(Program *program, int object, int kind)
{
    if (object >= program->objects || (program->kinds[object] != ANY_KIND && program->kinds[object] != kind)) {
        return 0;
    }
    program->kinds[object] = kind;
    return 1;
}

/* Whether all operands of a step are within their bounds; notes what the objects must be. Operands that a step does not
   use are bounded too, for all are read: left must be a slot, right a slot or, where marked so, a constant. */
static int
operands_fit(Program *program, const Step *step)
{
    int slots = program->arguments + program->temporaries;
    int left_is_argument = step->left < program->arguments;
    int into_is_temporary = step->into >= program->arguments && step->into < slots;
    if (step->operation >= OPERATIONS || step->constant > 1 || step->left >= slots ||
        step->right >= (step->constant ? program->constants : slots)) {
        return 0;
    }
    switch (step->operation) {
    case LOAD:
        return into_is_temporary && step->constant;
    case AMONG:
        return left_is_argument && wants(program, step->object, SET);
    case IN_STATE:
        return left_is_argument && wants(program, step->object, DICTIONARY) && wants(program, step->into, SET);
    case WITHIN:
        return left_is_argument && !step->constant && step->right < program->arguments &&
               wants(program, step->object, DICTIONARY) && wants(program, step->into, DICTIONARY);
    case TAKE:
        return left_is_argument && into_is_temporary && step->constant && step->right + 1 < program->constants &&
               wants(program, step->object, DICTIONARY) && wants(program, step->object + 1, ANY_KIND);
    case PUT_NUMBER:
        return left_is_argument && into_is_temporary && wants(program, step->object, DICTIONARY);
    case PUT_OBJECT:
        return left_is_argument && step->into < program->objects && wants(program, step->object, DICTIONARY);
    default:
        return step->operation <= AT_LEAST || into_is_temporary;
    }
}

static int
writes(const Program *program, int target)
{
    return target >= 0 && program->steps[target].operation >= PUT_NUMBER;
}

/* The arguments that are read must be whole numbers. */
static void
note_used(Program *program)
{
    uint8_t used[MAX_ARGUMENTS + MAX_TEMPORARIES] = {0};
    for (Py_ssize_t position = 0; position < Py_SIZE(program); position++) {
        const Step *step = &program->steps[position];
        used[step->left] = 1;
        if (!step->constant) {
            used[step->right] = 1;
        }
    }
    for (int position = 0; position < program->arguments; position++) {
        if (used[position]) {
            program->used[program->used_count++] = (uint8_t)position;
        }
    }
}

static int
verify(Program *program)
{
    if (!target_fits(program, -1, program->start)) {
        return 0;
    }
    for (Py_ssize_t position = 0; position < Py_SIZE(program); position++) {
        const Step *step = &program->steps[position];
        if (!operands_fit(program, step) || !target_fits(program, position, step->yes) ||
            !target_fits(program, position, step->no)) {
            return 0;
        }
        /* After a write comes another, or the end that grants. */
        if (step->operation >= PUT_NUMBER && step->yes != GRANTED_AT && !writes(program, step->yes)) {
            return 0;
        }
    }
    note_used(program);
    return 1;
}

static int
read_step(PyObject *given, Step *step)
{
    int fields[8];
    if (!PyTuple_CheckExact(given) ||
        !PyArg_ParseTuple(given, "iiiiiiii", &fields[0], &fields[1], &fields[2], &fields[3], &fields[4], &fields[5],
                          &fields[6], &fields[7])) {
        return 0;
    }
    for (int position = 0; position < 8; position++) {
        int most = position < 2 ? UINT8_MAX : position < 6 ? UINT16_MAX : INT16_MAX;
        if (fields[position] > most || fields[position] < (position < 6 ? 0 : INT16_MIN)) {
            return 0;
        }
    }
    *step = (Step){(uint8_t)fields[0],  (uint8_t)fields[1],  (uint16_t)fields[2], (uint16_t)fields[3],
                   (uint16_t)fields[4], (uint16_t)fields[5], (int16_t)fields[6],  (int16_t)fields[7]};
    return 1;
}

static PyObject *
refuse(const char *why)
{
    if (PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_MemoryError)) {
        return NULL;
    }
    PyErr_SetString(PyExc_ValueError, why);
    return NULL;
}

static PyObject *
program_new(PyTypeObject *type, PyObject *given, PyObject *names)
{
    static char *words[] = {"arguments", "temporaries", "constants", "objects", "start", "steps", NULL};
    int arguments, temporaries, constants, objects, start;
    PyObject *steps;
    if (!PyArg_ParseTupleAndKeywords(given, names, "$iiiiiO!:Program", words, &arguments, &temporaries, &constants,
                                     &objects, &start, &PyTuple_Type, &steps)) {
        return NULL;
    }
    if (arguments < 1 || arguments > MAX_ARGUMENTS || temporaries < 0 || temporaries > MAX_TEMPORARIES ||
        constants < 0 || constants > MAX_CONSTANTS || objects < 0 || objects > MAX_OBJECTS ||
        PyTuple_GET_SIZE(steps) > MAX_STEPS || start < INT16_MIN || start > INT16_MAX) {
        return refuse("a program of this size is not taken");
    }
    Program *self = (Program *)type->tp_alloc(type, PyTuple_GET_SIZE(steps));
    if (self == NULL) {
        return NULL;
    }
    self->arguments = (uint8_t)arguments;
    self->temporaries = (uint8_t)temporaries;
    self->constants = (uint16_t)constants;
    self->objects = (uint8_t)objects;
    self->start = (int16_t)start;
    for (Py_ssize_t position = 0; position < PyTuple_GET_SIZE(steps); position++) {
        if (!read_step(PyTuple_GET_ITEM(steps, position), &self->steps[position])) {
            Py_DECREF(self);
            return refuse("a step is a tuple of eight small integers");
        }
    }
    if (!verify(self)) {
        Py_DECREF(self);
        return refuse("the program leaves its bounds");
    }
    return (PyObject *)self;
}

static void
program_free(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot program_slots[] = {
    {Py_tp_new, program_new},
    {Py_tp_dealloc, program_free},
    {Py_tp_doc, "The verified code of a rule list: what is compared, and where to go on."},
    {0, NULL},
};
static PyType_Spec program_spec = {
    .name = "secureos.policy.native._decisions.Program",
    .basicsize = offsetof(Program, steps),
    .itemsize = sizeof(Step),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = program_slots,
};

/* ---- decisions ------------------------------------------------------------------------------------------------------ */

static int
objects_fit(const Program *program, PyObject *objects)
{
    if (PyTuple_GET_SIZE(objects) != program->objects) {
        return 0;
    }
    for (int position = 0; position < program->objects; position++) {
        PyObject *object = PyTuple_GET_ITEM(objects, position);
        int kind = program->kinds[position];
        if ((kind == DICTIONARY && !PyDict_CheckExact(object)) || (kind == SET && !PyFrozenSet_CheckExact(object))) {
            return 0;
        }
    }
    return 1;
}

static PyObject *
decision_new(PyTypeObject *type, PyObject *given, PyObject *names)
{
    static char *words[] = {"program", "constants", "objects", "plain", NULL};
    State *state = PyType_GetModuleState(type);
    PyObject *program, *constants, *objects, *plain;
    if (!PyArg_ParseTupleAndKeywords(given, names, "O!O!O!O:Decision", words, state->program_type, &program,
                                     &PyTuple_Type, &constants, &PyTuple_Type, &objects, &plain)) {
        return NULL;
    }
    if (!PyCallable_Check(plain)) {
        return refuse("the plain decision function cannot be called");
    }
    if (PyTuple_GET_SIZE(constants) != ((Program *)program)->constants || !objects_fit((Program *)program, objects)) {
        return refuse("the program wants other constants or objects");
    }
    Decision *self = (Decision *)type->tp_alloc(type, PyTuple_GET_SIZE(constants));
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = decide;
    self->program = (Program *)Py_NewRef(program);
    self->plain = Py_NewRef(plain);
    self->objects = PyTuple_GET_SIZE(objects) ? Py_NewRef(objects) : NULL;
    for (Py_ssize_t position = 0; position < PyTuple_GET_SIZE(constants); position++) {
        if (!whole(PyTuple_GET_ITEM(constants, position), &self->constants[position])) {
            Py_DECREF(self);
            return refuse("a constant is an exact int of 64 bits");
        }
    }
    return (PyObject *)self;
}

static int
decision_traverse(Decision *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->program);
    Py_VISIT(self->plain);
    Py_VISIT(self->objects);
    return 0;
}

static int
decision_clear(Decision *self)
{
    Py_CLEAR(self->program); /* without it, every call goes to what is left of the plain function */
    Py_CLEAR(self->plain);
    Py_CLEAR(self->objects);
    return 0;
}

static void
decision_free(Decision *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    decision_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef decision_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Decision, vectorcall), READONLY, NULL},
    {"plain", T_OBJECT, offsetof(Decision, plain), READONLY, "The plain decision function."},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot decision_slots[] = {
    {Py_tp_new, decision_new},
    {Py_tp_dealloc, decision_free},
    {Py_tp_traverse, decision_traverse},
    {Py_tp_clear, decision_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, decision_members},
    {Py_tp_doc, "A program with its constants, called like the plain decision function and answering the same."},
    {0, NULL},
};
static PyType_Spec decision_spec = {
    .name = "secureos.policy.native._decisions.Decision",
    .basicsize = offsetof(Decision, constants),
    .itemsize = sizeof(int64_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = decision_slots,
};

/* ---- the module ------------------------------------------------------------------------------------------------------- */

static PyObject *
deny_by_default(PyObject *Py_UNUSED(module), PyObject *const *Py_UNUSED(arguments), Py_ssize_t Py_UNUSED(count))
{
    return PyLong_FromLong(BY_DEFAULT);
}

static int
add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **type)
{
    *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    return *type == NULL ? -1 : PyModule_AddType(module, *type);
}

static int
module_begin(PyObject *module)
{
    State *state = PyModule_GetState(module);
    state->at_ns = PyUnicode_InternFromString("at_ns");
    if (state->at_ns == NULL || add_type(module, &program_spec, &state->program_type) < 0) {
        return -1;
    }
    return add_type(module, &decision_spec, &state->decision_type);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    Py_VISIT(state->program_type);
    Py_VISIT(state->decision_type);
    Py_VISIT(state->at_ns);
    return 0;
}

static int
module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    Py_CLEAR(state->program_type);
    Py_CLEAR(state->decision_type);
    Py_CLEAR(state->at_ns);
    return 0;
}

static PyMethodDef module_functions[] = {
    {"deny_by_default", (PyCFunction)(void (*)(void))deny_by_default, METH_FASTCALL,
     "The decision function of everything that no rule speaks of."},
    {NULL, NULL, 0, NULL},
};
static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_begin}, {0, NULL}};
static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_decisions",
    .m_doc = "Decisions as small verified programs; see the head of the source.",
    .m_size = sizeof(State),
    .m_methods = module_functions,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC
PyInit__decisions(void)
{
    return PyModuleDef_Init(&definition);
}
