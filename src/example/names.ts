import { draw } from './randomness.ts';

/** A name as a CSV cell, and what stands for it in an e-mail address. */
interface Name {
  readonly cell: string;
  readonly mail: string;
}

interface Culture {
  /** Of 100 employees. */
  readonly share: number;
  readonly first: readonly Name[];
  readonly last: readonly Name[];
}

/** Names are divided by `|`; where the script is not Latin, `:` leads to the spelling of the e-mail address. */
function culture(share: number, first: string, last: string): Culture {
  return { share, first: first.split('|').map(name), last: last.split('|').map(name) };
}

function name(text: string): Name {
  const [written = '', spelt = written] = text.split(':');
  const mail = spelt
    .normalize('NFD')
    .toLowerCase()
    .replaceAll(/[øðłđßæœıþ]/g, (letter) => SPELLING[letter] ?? '')
    .replaceAll(/[^a-z]/g, '');
  return { cell: csvCell(written), mail };
}

const SPELLING: Record<string, string> = {
  ø: 'o',
  ð: 'd',
  ł: 'l',
  đ: 'd',
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ı: 'i',
  þ: 'th',
};

/** A cell as RFC 4180 writes it. */
export function csvCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const CULTURES: readonly Culture[] = [
  culture(
    16,
    'Sanne|Daan|Anouk|Jürgen|Käthe|Björn|Lieke|Zoë|Maaike|Günter|Anneliese|Willem|Geert-Jan|Hélène|Ruud|Jörg|Noor',
    "van der Berg|de Vries|Müller|Schröder|Jansen|'t Hooft|Weiß|van den Bosch|Köhler|Bakker|Visser|Großmann|de Groot|Schäfer|Hoekstra|ten Brink|in 't Veld",
  ),
  culture(
    9,
    'François|Éloïse|Jean-Luc|Anaïs|Benoît|Chloé|Gaëlle|Loïc|Margaux|Océane|Théo|Noémie|Rémi',
    "Lefèvre|D'Aubigné|Béranger|Gauthier|L'Hôpital|Fontaine|Maçon|Chevalier|Étienne|Hervé|Desprès|Guérin|Saint-Exupéry",
  ),
  culture(
    9,
    'José|María|João|Íñigo|Begoña|Conceição|Martín|Inês|Ángel|Lucía|Simão|Nuria|Óscar',
    'García|Muñoz|Gonçalves|Núñez|Ibáñez|Araújo|Peña|Magalhães|Ordóñez|Sepúlveda|Guimarães|Ruiz|Assunção',
  ),
  culture(
    8,
    'Søren|Åsa|Øyvind|Märta|Jóhanna|Håkon|Þóra|Väinö|Linnéa|Bjørn|Sigríður|Aino|Kjærsti',
    'Sørensen|Ångström|Ødegård|Jónsdóttir|Mäkinen|Björk|Lindström|Østergaard|Hämäläinen|Þórsson|Nygård|Rask|Virtanen',
  ),
  culture(
    8,
    'Łukasz|Zdeněk|Šárka|Małgorzata|Ľubica|Čeněk|Żaneta|Jiří|Grzegorz|Božena|Ágnes|Győző|Ștefan',
    'Wałęsa|Dvořák|Świątek|Čapková|Nowak|Šťastný|Kowalczyk|Brzęczyszczykiewicz|Horváth|Őrsi|Țiriac|Ďurica|Novák',
  ),
  culture(
    4,
    'Işıl|Çağlar|Gökçe|Ömer|Şebnem|Uğur|Yağmur|İbrahim|Tuğba|Barış|Ülkü',
    'Yıldız|Öztürk|Çelik|Şahin|Güneş|Aydın|Doğan|Kılıç|İnönü|Erdoğdu|Arslan',
  ),
  culture(
    7,
    'Siobhán|Anne "Annie"|Seán|Caoimhe|Mary Jo|William, Jr.|Ngaire|J. R.|Pádraig|Zoe-Rae|Liam',
    "O'Brien|Ó Súilleabháin|Smith, PhD|MacDonald|\"Red\" Murphy|D'Arcy|Fitz-Gerald|Smith|Ní Bhriain|O'Connor, MSc|Jones",
  ),
  culture(
    6,
    'Γιώργος:giorgos|Ελένη:eleni|Νίκος:nikos|Κατερίνα:katerina|Δημήτρης:dimitris|Σοφία:sofia|Χρήστος:christos|Άννα:anna|Ιωάννης:ioannis|Ζωή:zoi|Θάλεια:thaleia',
    'Παπαδόπουλος:papadopoulos|Γεωργίου:georgiou|Οικονόμου:oikonomou|Νικολαΐδης:nikolaidis|Αντωνίου:antoniou|Βλάχος:vlachos|Μακρής:makris|Καραγιάννης:karagiannis|Ψαρρός:psarros|Ξένος:xenos|Ρήγας:rigas',
  ),
  culture(
    9,
    'Алексей:aleksei|Ольга:olga|Йордан:yordan|Оксана:oksana|Михаил:mikhail|Їжакевич:yizhak|Татьяна:tatyana|Любомир:lyubomir|Снежана:snezhana|Ђорђе:djordje|Юлія:yuliia',
    'Иванов:ivanov|Шевченко:shevchenko|Петровић:petrovic|Щербакова:shcherbakova|Ковальчук:kovalchuk|Димитров:dimitrov|Кузнецова:kuznetsova|Ґалаґан:galagan|Жуков:zhukov|Ђоковић:djokovic|Юрьев:yuryev',
  ),
  culture(
    4,
    'محمد:mohammed|فاطمة:fatima|أحمد:ahmad|ليلى:layla|يوسف:yusuf|مريم:maryam|عبد الله:abdullah|زينب:zaynab|حسن:hassan|نور:nour|إبراهيم:ibrahim',
    'الهاشمي:alhashimi|بن علي:benali|المصري:almasri|حداد:haddad|القحطاني:alqahtani|منصور:mansour|العبيدي:alobeidi|خوري:khoury|صالح:saleh|الزهراني:alzahrani|ناصر:nasser',
  ),
  culture(
    2,
    'נועה:noa|דוד:david|שירה:shira|יוסף:yosef|תמר:tamar|איתי:itai|מרים:miriam|אורי:uri|רחל:rachel|גיל:gil|חיים:chaim',
    'כהן:cohen|לוי:levi|מזרחי:mizrahi|פרץ:peretz|ביטון:biton|אברהם:avraham|פרידמן:friedman|שפירא:shapira|בן-דוד:bendavid|גולן:golan|אשכנזי:ashkenazi',
  ),
  culture(
    4,
    'प्रिया:priya|अर्जुन:arjun|सुनीता:sunita|राहुल:rahul|लक्ष्मी:lakshmi|विक्रम:vikram|अनन्या:ananya|कृष्ण:krishna|दीपिका:deepika|संजय:sanjay|मीरा:meera',
    'शर्मा:sharma|सिंह:singh|गुप्ता:gupta|पटेल:patel|वर्मा:verma|कुलकर्णी:kulkarni|द्विवेदी:dwivedi|जोशी:joshi|श्रीवास्तव:srivastava|राव:rao|मिश्रा:mishra',
  ),
  culture(
    4,
    '伟:wei|芳:fang|秀英:xiuying|建国:jianguo|丽:li|雪:xue|志强:zhiqiang|思远:siyuan|欣怡:xinyi|𠮷:ji|明:ming',
    '王:wang|李:li|张:zhang|欧阳:ouyang|陈:chen|刘:liu|司马:sima|赵:zhao|黄:huang|周:zhou|徐:xu',
  ),
  culture(
    3,
    '陽子:yoko|健太:kenta|さくら:sakura|大輔:daisuke|ゆき:yuki|美咲:misaki|翔:sho|ジョン:jon|直樹:naoki|恵:megumi|蓮:ren',
    '佐藤:sato|鈴木:suzuki|髙橋:takahashi|田中:tanaka|渡邊:watanabe|伊藤:ito|山本:yamamoto|小林:kobayashi|斎藤:saito|五十嵐:igarashi|林:hayashi',
  ),
  culture(
    2,
    '민준:minjun|서연:seoyeon|지우:jiwoo|하은:haeun|도윤:doyun|수진:sujin|영호:youngho|은지:eunji|현우:hyunwoo|미경:mikyung|준:jun',
    '김:kim|이:lee|박:park|최:choi|정:jung|강:kang|조:cho|윤:yoon|남궁:namgung|황보:hwangbo|선우:sunwoo',
  ),
  culture(
    2,
    'สมชาย:somchai|สุดา:suda|กิตติ:kitti|มาลี:malee|ปรีชา:preecha|น้ำฝน:namfon|วิชัย:wichai|อรุณ:arun|พิมพ์:pim|ชาติ:chart|ดวงใจ:duangjai',
    'แสงทอง:saengthong|ศรีสุข:srisuk|บุญมา:boonma|วงศ์ดี:wongdee|ทองคำ:thongkham|สุขใจ:sukjai|ใจดี:jaidee|พงษ์:pong|รัตน์:rat|ชัยชนะ:chaichana|มีสุข:meesuk',
  ),
  culture(
    3,
    'Nguyệt|Dũng|Thảo|Đức|Hương|Quốc Bảo|Ánh|Tuấn|Mỹ Linh|Phượng|Khải',
    'Nguyễn|Trần|Phạm|Đặng|Huỳnh|Lê|Võ|Bùi|Đỗ|Hồ|Ngô',
  ),
];

/** One culture for each hundredth of the employees. */
const HUNDREDTHS: readonly Culture[] = CULTURES.flatMap((of) => Array.from({ length: of.share }, () => of));

/** First and last name of the person; each `marriage` brings another last name. */
export function personName(person: number, marriages: number): { first: Name; last: Name } {
  const culture = HUNDREDTHS[draw(person, 11) % HUNDREDTHS.length] as Culture;
  const { first, last } = culture;
  return {
    first: first[draw(person, 12) % first.length] as Name,
    last: last[(draw(person, 13) + marriages) % last.length] as Name,
  };
}
