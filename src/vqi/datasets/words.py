"""What the name of a folder, or a label in a table, says of parts: good, defective, or that it has to be asked.

People call good parts by many names. One that were taken for a type of defect would turn all figures around, so what
may mean both is never guessed.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from functools import lru_cache
from typing import Literal

Meaning = Literal["good", "defective", "unclear", "other"]

DEFECTIVE = "defective"  # a name that begins with this word is that of defective parts, whatever follows

# Whole words, in lower case and without accents.
_GOOD = """
    good goods ok oks okay normal normals normale normales normaux
    pass passed passes passing accepted acceptable accept approved qualified conforming
    conformant compliant nominal healthy intact flawless faultless undamaged unblemished perfect fine clean correct
    nondefective nonanomalous anomalyfree defectfree faultfree defectless
    gut gute guten gutes io inordnung fehlerfrei einwandfrei mangelfrei makellos unbeschadigt
    bon bonne bons bonnes conforme conformes sain sains bueno buena buenos buenas bien correcto aprobado
    buono buona buoni buone conformi idoneo bom boa boas aprovado
    fehlerlos tadellos freigegeben bestanden ohnebefund mangelfreie
    valide valides accepte acceptee acceptes acceptees acceptabel acceptables aprobada aprobados correcta correctos
    aceptado aceptados aceptada aceptadas correctas freigabe zdrave spravne
    perfeito aprovada aceito semdefeito nondifettosi accettato
    goed goede goedgekeurd dobry dobra dobre dobrze dobro dobri poprawne prawidlowe wporzadku vporadku bezvadne vyhovuje
    bra god gode godkand godkendt godkjent feilfri fejlfri felfri defektfri
    hyva hyvat kunnossa virheeton iyi saglam kusursuz hatasız hatasiz kabul megfelelo hibatlan
    corect bun bune faradefecte ispravno ispravan bezbledne baik bagus đạt binhthuong καλα καλο κανονικο ομαλα
    норма норм нормальные годен годный годные хорошо хорошие исправен исправные бездефектов бездефектные добре справний
    良品 良 良好 正品 正常 正常品 合格 合格品 好 好品 好的 优良 優良 無欠陥 无缺陷 無缺陷 无瑕疵
    無異常 异常なし 異常なし 정상 정상품 양품 양호 합격 ปกติ सही سليم جيد תקין טוב
    undefected unscathed pristine spotless
"""
# The words that many people use: next to a word that is not known they are worth a question.
_PLAIN_GOOD = """
    good ok okay normal normale gut gute pass passed accepted healthy flawless undamaged conforming conforme bueno
    bon buono dobre 良品 正常
"""
_DEFECT = """
    defect defects defective anomaly anomalies anomalous fault faults faulty flaw flaws flawed damage damages damaged
    issue issues error errors fail fails failed failure bad broken scrap reject rejected rejects nok ng nio ko abnormal
    fehler fehlerhaft mangel mangelhaft defekt defekte schaden ausschuss schlecht schlechtteil
    defaut defauts defectueux mauvais anomalie anomalies defecto defectos defectuoso malo mala rechazado
    difetto difetti difettoso anomalo anomalia scarto defeito defeituoso ruim fout defekter vadne wada dalig
    брак дефект дефекты дефектные
    不良 不良品 不合格 不合格品 异常 異常 缺陷 有缺陷 瑕疵 欠陥 불량 불량품 비정상
"""
_MISSPELT = ("good", "normal", "okay")  # a name nearly like one of these is worth a question, too
_ALIKE = 0.83  # two letters of "normal" changed over
_NOT = "no not non nicht kein keine sans sin senza ohne without un ohne zero none niet ikke"
_FREE = "free frei"
# What says nothing about the part.
_FILLER = """
    part parts piece pieces image images img imgs photo
    photos photograph photographs pic pics picture pictures sample samples
    product products item items data set class label type
    folder only all the and of is test train training teil
    teile bild bilder foto fotos stuck imagenes pieza piezas 品 件 图 图片 图像 画像 样本
"""
# What people keep in a sub-folder next to photographs of good parts.
_NO_PHOTOGRAPHS = """
    mask masks groundtruth gt label labels annotation annotations thumb thumbs thumbnail thumbnails preview previews
"""
# They may mean either, or are said of parts that nobody has looked at.
_UNCLEAR = """
    negative negatives neg positive positives pos true false yes
    no ja nein reference references ref golden gold master masters
    template templates standard baseline regular typical usual nominals valid valido valida new original sound whole
    complete usable serviceable acceptability estandar conformite geprueft gepruft checked tested
    free none unknown unlabeled unlabelled unsorted unclear unsure uncertain undecided doubtful maybe review todo tbd
    0 class0 label0 type0 c0 00 000
"""
# In the label of a table, where nothing but good and defective is expected.
_LABELS: dict[str, Meaning] = {"0": "good", "0.0": "good", "1": "defective", "1.0": "defective"}


_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")


def _tokens(name: str) -> list[str]:
    """The words of a name in lower case, without accents; ``GoodParts_2`` has good, parts and 2."""
    parted = _CAMEL.sub(" ", unicodedata.normalize("NFKC", name))
    bare = "".join(one for one in unicodedata.normalize("NFKD", parted.casefold()) if not unicodedata.combining(one))
    return re.findall(r"[^\W_\d]+|\d+", unicodedata.normalize("NFKC", bare))


def _words(*texts: str) -> frozenset[str]:
    """The words of lists above, as a name with that word is read."""
    return frozenset("".join(_tokens(word)) for text in texts for word in text.split())


def _any(*texts: str) -> str:
    return "|".join(sorted(map(re.escape, _words(*texts)), key=len, reverse=True))


# One digit at a time: a long number could be divided into several in countless ways, and all of them would be tried.
# For the same reason no word of the list may be made of others.
_ABOUT = rf"(?:{_any(_FILLER)}|\d)*"
_IS_GOOD = re.compile(rf"{_ABOUT}(?:{_any(_GOOD)}){_ABOUT}")
_IS_NOT_GOOD = re.compile(rf"{_ABOUT}(?:{_any(_NOT)}){_ABOUT}(?:{_any(_GOOD)}){_ABOUT}")
_IS_DEFECT = re.compile(rf"{_ABOUT}(?:{_any(_DEFECT)}){_ABOUT}")
_IS_NO_DEFECT = re.compile(
    rf"{_ABOUT}(?:(?:{_any(_NOT)}){_ABOUT}(?:{_any(_DEFECT)})|(?:{_any(_DEFECT)}){_ABOUT}(?:{_any(_FREE)})"
    rf"|(?:{_any(_FREE)}){_ABOUT}(?:{_any(_DEFECT)})){_ABOUT}"
)


@lru_cache(maxsize=4096)
def meaning_of(name: str) -> Meaning:
    """What a folder's name says of the parts in it; 'other' is that of a type of defect, or of anything else."""
    tokens = _tokens(name)
    joined = "".join(tokens)
    if _IS_NOT_GOOD.fullmatch(joined) or tokens[:1] == [DEFECTIVE]:
        return "defective"
    if _IS_GOOD.fullmatch(joined) or _IS_NO_DEFECT.fullmatch(joined):
        return "good"
    if _IS_DEFECT.fullmatch(joined):
        return "defective"
    asks = joined in _words(_UNCLEAR) or _words(_PLAIN_GOOD) & set(tokens)
    return "unclear" if asks or difflib.get_close_matches(joined, _MISSPELT, 1, _ALIKE) else "other"


def is_apart(name: str) -> bool:
    """Whether the name of a sub-folder of good parts says that it holds none: of defects, masks or previews."""
    return meaning_of(name) == "defective" or "".join(_tokens(name)) in _words(_NO_PHOTOGRAPHS)


def meaning_of_label(label: str) -> Meaning:
    """What a label of a table says: as ``meaning_of``, with 0 for good and 1 for defective."""
    return _LABELS.get(label.strip()) or meaning_of(label)
